// Where in a text a field of a resource stands that was read from it. A long text is not parsed for it, only the document of the resource.
import { LineStarts } from "../lib/line-starts.ts";
import type { Place } from "../model/problem.ts";
import { type ApiKind, kinds, type Resource } from "../model/resource.ts";
import { type Part, partsOf } from "./documents.ts";
import { apiContent, type Layout } from "./envelope.ts";
import { camelCase } from "./field-names.ts";
import { parsePath, type Segment } from "./field-path.ts";
import { type ObjectNode, objectsOf, textOf } from "./object-node.ts";
import { placeOf } from "./text-places.ts";
import { parseYaml, type YamlDocument } from "./yaml.ts";
import { entryOf, type Span, type YamlNode } from "./yaml-node.ts";

/** A text that is asked for places, parsed as far as it was. */
interface Asked {
  readonly text: string;
  readonly lines: LineStarts;
  /** Where one document can be found without the others. */
  readonly parts: readonly Part[] | undefined;
  readonly documentsOf: Map<number, readonly YamlDocument[]>;
}

/** In which part of the text an object stands. */
interface Found {
  readonly object: ObjectNode;
  /** The offset of the part. */
  readonly from: number;
}

/** The texts asked about last: problems come in groups, and a tree is too large to be kept for every file. */
const recentlyAsked: Asked[] = [];

/** Smaller texts are parsed as a whole. */
const longText = 16_384;

function askedForPlaces(text: string): Asked {
  const index = recentlyAsked.findIndex((each) => each.text === text);
  const [known] = index === -1 ? [] : recentlyAsked.splice(index, 1);
  const parts = known || text.length < longText ? undefined : partsOf(text);
  const asked = known ?? { text, lines: new LineStarts(text), parts, documentsOf: new Map() };
  recentlyAsked.unshift(asked);
  recentlyAsked.length = Math.min(recentlyAsked.length, 4);
  return asked;
}

const wholeText = -1;

function documentsOf({ text, parts, documentsOf: known }: Asked, index: number): readonly YamlDocument[] {
  let documents = known.get(index);
  if (documents === undefined) {
    const part = parts?.[index];
    const parsed = parseYaml(part === undefined ? text : text.slice(part.start, part.end));
    documents = "failure" in parsed ? [] : parsed.documents;
    known.set(index, documents);
  }
  return documents;
}

/** The place of a field of a resource that was read from this text; of the nearest parent that is written. */
export function locateInText(text: string, file: string, resource: Resource, path = "", layout?: Layout): Place | undefined {
  const asked = askedForPlaces(text);
  const found = findInPart(asked, resource, layout) ?? findInWhole(asked, resource, layout);
  if (found === undefined) return undefined;
  const span = spanOf(found.object, resource, parsePath(path));
  return placeOf(text, file, asked.lines, { start: found.from + span.start, end: found.from + span.end });
}

/** Nearly always a part is a document, or there are comments in front of the first. The next one may hold the same object once more. */
function findInPart(asked: Asked, resource: Resource, layout: Layout | undefined): Found | undefined {
  const { document } = resource.origin;
  if (asked.parts === undefined || document === undefined) return undefined;
  const isFirstEmpty = documentsOf(asked, 0).length === 0;
  for (const index of isFirstEmpty ? [document + 1, document] : [document, document + 1]) {
    const part = asked.parts[index];
    const object = part && findObject(documentsOf(asked, index), resource, undefined, layout);
    if (object) return { object, from: part.start };
  }
  return undefined;
}

function findInWhole(asked: Asked, resource: Resource, layout: Layout | undefined): Found | undefined {
  const object = findObject(documentsOf(asked, wholeText), resource, resource.origin.document, layout);
  return object && { object, from: 0 };
}

function findObject(
  documents: readonly YamlDocument[],
  resource: Resource,
  document: number | undefined,
  layout: Layout | undefined,
): ObjectNode | undefined {
  const ordered = document === undefined ? documents : [...documents.slice(document, document + 1), ...documents];
  for (const { root } of ordered) {
    const match = root && objectsOf(root).find((object) => isObjectOf(object, resource, layout));
    if (match) return match;
  }
  return undefined;
}

function isObjectOf(object: ObjectNode, resource: Resource, layout: Layout | undefined): boolean {
  const metadata = entryOf(object.node, "metadata")?.value;
  const name = textOf(metadata, "name") ?? layout?.name;
  if (name !== resource.ref.name) return false;
  const namespace = textOf(metadata, "namespace");
  if (namespace !== undefined && resource.ref.namespace !== "" && namespace !== resource.ref.namespace) return false;
  if (object.envelope === "file") return true;
  const kind = textOf(object.node, "kind");
  return kind === resource.kind || (kind === "ConfigMap" && resource.kind === "Artifact");
}

function spanOf(object: ObjectNode, resource: Resource, path: readonly Segment[]): Span {
  const kubeName = entryOf(object.node, "kind") ?? entryOf(object.node, "metadata");
  const top = kubeName ? { start: kubeName.keyStart, end: kubeName.value.end } : object.node;
  const roots: (YamlNode | undefined)[] = [object.node];
  if (Object.hasOwn(kinds, resource.kind)) roots.unshift(contentOf(object, resource.kind as ApiKind));
  let best: { span: Span; depth: number } = { span: top, depth: 0 };
  for (const root of roots) {
    const found = root && descend(root, path);
    if (found && found.depth > best.depth) best = found;
  }
  return best.span;
}

/** By the node of the object: a thousand findings about one object ask for it a thousand times. */
const contents = new WeakMap<YamlNode, YamlNode>();

function contentOf(object: ObjectNode, kind: ApiKind): YamlNode | undefined {
  const content = contents.get(object.node) ?? apiContent(object, kind);
  if (content) contents.set(object.node, content);
  return content;
}

function descend(root: YamlNode, path: readonly Segment[]): { span: Span; depth: number } | undefined {
  let node: YamlNode | undefined = root;
  let span: Span | undefined;
  let depth = 0;
  for (const segment of path) {
    if (typeof segment === "number") {
      node = node?.kind === "list" ? node.items[segment] : undefined;
      if (node) span = node;
    } else {
      const entry = node?.kind === "map" ? node.entries.find((each) => each.key === segment || camelCase(each.key) === segment) : undefined;
      node = entry?.value;
      if (entry) span = { start: entry.keyStart, end: entry.keyEnd };
    }
    if (!node) break;
    depth++;
  }
  return span && { span, depth };
}
