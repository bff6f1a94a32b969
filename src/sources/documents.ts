// Where the documents of a text begin, found without parsing it: a line of `---` ends a document whatever it stands in, so what lies
// between two of them can be read by itself.
import { limits } from "./yaml.ts";

/** What it does inside of a document depends, to the parser, on what follows. */
const byteOrderMark = "\ufeff";

/** The mark in front of a text, and of each of its documents: files that were joined have some. YAML allows them there; our parser does not. */
export function withoutByteOrderMarks(text: string): string {
  if (!text.includes(byteOrderMark)) return text;
  return text.replace(/^\ufeff/, "").replace(/^(---[^\n]*\n)\ufeff|^\ufeff(?=---)/gm, "$1");
}

/** A part of a text: usually one document, seldom none (comments in front of the first) or several (after `...`). */
export interface Part {
  readonly start: number;
  readonly end: number;
}

/** Undefined where parts mean nothing by themselves (directives, the marks of files that were joined), or are more than are read. */
export function partsOf(text: string): readonly Part[] | undefined {
  if (text.startsWith("%") || text.includes("\n%") || text.includes(byteOrderMark, 1)) return undefined;
  const parts: Part[] = [];
  let start = 0;
  for (let at = text.indexOf("\n---"); at !== -1; at = text.indexOf("\n---", at + 1)) {
    const next = text.charCodeAt(at + 4);
    if (next > 32) continue; // "-----BEGIN" is no separator
    parts.push({ start, end: at + 1 });
    start = at + 1;
  }
  parts.push({ start, end: text.length });
  return parts.length > limits.documents ? undefined : parts;
}

export function linesIn(text: string): number {
  let count = 0;
  for (let at = text.indexOf("\n"); at !== -1; at = text.indexOf("\n", at + 1)) count++;
  return count;
}
