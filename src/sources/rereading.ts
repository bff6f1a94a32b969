// Reads a text again after an edit: only the documents that changed, and those whose findings stand on other lines by now.
//
// A file of a few thousand objects takes a second to parse, and an edit changes one of them.
import type { Problem } from "../model/problem.ts";
import type { Resource } from "../model/resource.ts";
import { linesIn, type Part, partsOf } from "./documents.ts";
import { isPuzzling, type PartReading, type ReadTextOptions, readPart, readText, type TextReading } from "./read-text.ts";

/** Smaller texts are read within milliseconds, and what they hold is not kept twice. */
const defaultWorthwhile = 65_536;

interface KnownPart extends Part {
  readonly linesBefore: number;
  readonly documentsBefore: number;
  readonly lines: number;
  readonly reading: PartReading;
}

interface Known {
  readonly text: string;
  readonly parts: readonly KnownPart[];
}

export class Rereading {
  readonly #optionsOf: (file: string) => ReadTextOptions;
  readonly #worthwhile: number;
  readonly #known = new Map<string, Known>();

  constructor(optionsOf: (file: string) => ReadTextOptions, worthwhile = defaultWorthwhile) {
    this.#optionsOf = optionsOf;
    this.#worthwhile = worthwhile;
  }

  /** The same as {@link readText}, whatever was read before. */
  read(text: string, file: string): TextReading {
    const options = this.#optionsOf(file);
    const parts = text.length < this.#worthwhile ? undefined : partsOf(text);
    if (parts === undefined || parts.length < 2) {
      this.#known.delete(file);
      return readText(text, file, options);
    }
    const known = readParts(text, parts, file, options, this.#known.get(file));
    const problems = known?.parts.flatMap(({ reading }) => reading.problems) ?? [];
    // What is wrong with a text as a whole is found in the whole of it. The last one that was well is what the next is compared with.
    if (known === undefined || isPuzzling(problems)) return readText(text, file, options);
    this.#known.set(file, known);
    return { resources: known.parts.flatMap(({ reading }) => reading.resources), problems, isBroken: false };
  }

  forget(file: string): void {
    this.#known.delete(file);
  }
}

/** Undefined when one cannot be read. */
function readParts(text: string, parts: readonly Part[], file: string, options: ReadTextOptions, before?: Known): Known | undefined {
  const earlier = before === undefined ? parts.map(() => undefined) : matching(text, parts, before);
  const known: KnownPart[] = [];
  let linesBefore = 0;
  let documentsBefore = 0;
  for (const [i, part] of parts.entries()) {
    const same = earlier[i];
    let { lines, reading } = same ?? {};
    if (same !== undefined) reading = moved(same, linesBefore, documentsBefore);
    if (lines === undefined || reading === undefined) {
      const own = text.slice(part.start, part.end);
      lines = linesIn(own);
      const read = readPart(own, file, options, { lines: linesBefore, documents: documentsBefore });
      if ("failure" in read) return undefined;
      reading = read;
    }
    known.push({ ...part, linesBefore, documentsBefore, lines, reading });
    linesBefore += lines;
    documentsBefore += reading.documents;
  }
  return { text, parts: known };
}

/** For each part the one of the text before that has the same words: those in front of the edit, those behind it, then any. */
function matching(text: string, parts: readonly Part[], before: Known): readonly (KnownPart | undefined)[] {
  const wordsOf = ({ start, end }: Part) => text.slice(start, end);
  const earlierWordsOf = ({ start, end }: Part) => before.text.slice(start, end);
  const isSame = (part: Part | undefined, other: Part | undefined) =>
    part !== undefined &&
    other !== undefined &&
    part.end - part.start === other.end - other.start &&
    wordsOf(part) === earlierWordsOf(other);
  let front = 0;
  while (isSame(parts[front], before.parts[front])) front++;
  let behind = 0;
  while (
    behind < Math.min(parts.length, before.parts.length) - front &&
    isSame(parts[parts.length - 1 - behind], before.parts[before.parts.length - 1 - behind])
  )
    behind++;
  const between = new Map(before.parts.slice(front, before.parts.length - behind).map((part) => [earlierWordsOf(part), part] as const));
  return parts.map((part, i) => {
    if (i < front) return before.parts[i];
    if (i >= parts.length - behind) return before.parts[before.parts.length - (parts.length - i)];
    return between.get(wordsOf(part));
  });
}

/** What was read of a part, at its place in another text; undefined where it is read again, since its findings say lines. */
function moved(part: KnownPart, linesBefore: number, documentsBefore: number): PartReading | undefined {
  const { reading } = part;
  if (part.linesBefore !== linesBefore && hasFindings(reading)) return undefined;
  const by = documentsBefore - part.documentsBefore;
  if (by === 0) return reading;
  const resources = reading.resources.map((resource): Resource => {
    const { document = 0 } = resource.origin;
    return { ...resource, origin: { ...resource.origin, document: document + by } };
  });
  return { ...reading, resources };
}

function hasFindings({ resources, problems }: { readonly resources: readonly Resource[]; readonly problems: readonly Problem[] }): boolean {
  return problems.length > 0 || resources.some((resource) => resource.problems.length > 0);
}
