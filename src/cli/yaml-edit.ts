// Changes to a YAML text that leave everything else in it as it stands: comments, order, quoting, blank lines.
//
// Lines are put in or taken out where that is enough, and the outcome is compared with what it should be. Where it is not (a list that is
// not there yet), the document is written anew from its syntax tree, which keeps comments, but may change how things are laid out.
import { isDeepStrictEqual } from "node:util";
import { type Document, isMap, isSeq, type Node, parseAllDocuments, stringify, type YAMLMap, type YAMLSeq } from "yaml";
import { changedList, edited, keysOf, type ListChange, type ListEdit } from "./list-edit.ts";

/** Which object of a text. */
export interface Wanted {
  readonly kind: string;
  readonly namespace: string;
  readonly name: string;
  /** A file may say these by its place: then its object need not. */
  readonly isAlone?: boolean;
}

interface Found {
  readonly documents: readonly Document.Parsed[];
  readonly index: number;
  readonly object: YAMLMap;
  readonly json: unknown;
  /** In the list of this document, at this place. */
  readonly within?: { readonly keys: readonly (string | number)[]; readonly at: number };
}

const style = { lineWidth: 0 } as const;
/** Nothing on stderr about attempts. */
const quiet = { logLevel: "error" } as const;

/** The text with the change made; undefined where the object is not in it, or the change cannot be made without touching more. */
export function editYaml(text: string, wanted: Wanted, edit: ListEdit): string | undefined {
  const found = find(text, wanted);
  if (found === undefined) return undefined;
  const { documents, index, object, json } = found;
  const keys = keysOf(json, edit);
  const expected = documents.map(jsonOf);
  expected[index] = replaced(expected[index], found, edited(json, edit));
  const list = object.getIn(keys, true);
  const inPlace = isSeq(list) ? changedInPlace(text, list, edit.change) : undefined;
  if (inPlace !== undefined && isWhat(inPlace, expected)) return inPlace;
  return rewritten(text, found, expected, (document) => {
    if (isSeq(list)) changeNodes(document, list, edit.change);
    else object.setIn(keys, document.createNode(changedList([], edit.change)));
  });
}

/** The text without the object; "" where nothing else is in it, undefined where the object is not. */
export function removeFromYaml(text: string, wanted: Wanted): string | undefined {
  const found = find(text, wanted);
  if (found === undefined) return undefined;
  const { documents, index, within } = found;
  if (within) {
    const document = documents[index] as Document.Parsed;
    const list = document.getIn(within.keys, true) as YAMLSeq;
    const others = documents.map(jsonOf);
    const expected = others.with(index, removedAt(others[index], within.keys, within.at));
    const inPlace = changedInPlace(text, list, { kind: "remove", at: within.at });
    if (inPlace !== undefined && isWhat(inPlace, expected)) return inPlace;
    return rewritten(text, found, expected, () => void list.delete(within.at));
  }
  if (documents.every((each, at) => at === index || each.contents === null)) return "";
  const [start, end] = extentOf(documents, index, text);
  const cut = text.slice(0, start) + text.slice(end);
  const rest = index === 0 ? cut.replace(/^---[^\S\n]*\n/, "") : cut;
  const others = documents.filter((_, at) => at !== index).map(jsonOf);
  return isWhat(rest, others) ? rest : undefined;
}

/** By the syntax tree. An anchor that went away, for one, makes that impossible. */
function rewritten(
  text: string,
  { documents, index }: Found,
  expected: readonly unknown[],
  change: (document: Document.Parsed) => void,
): string | undefined {
  const document = documents[index] as Document.Parsed;
  try {
    change(document);
    const changed = withDocument(text, documents, index, document.toString(style));
    return isWhat(changed, expected) ? changed : undefined;
  } catch {
    return undefined;
  }
}

/** The text with one more document. */
export function appendToYaml(text: string, object: unknown): string {
  if (text.trim() === "") return text + stringify(object, style);
  return `${text.endsWith("\n") ? text : `${text}\n`}---\n${stringify(object, style)}`;
}

function find(text: string, wanted: Wanted): Found | undefined {
  const documents = parseAllDocuments(text, quiet) as Document.Parsed[];
  for (const [index, document] of documents.entries()) {
    const { contents } = document;
    // Of the document, not of the object: only there are aliases what they stand for.
    const root = jsonOf(document);
    if (isMap(contents) && isIt(root, wanted)) return { documents, index, object: contents, json: root };
    const keys = isMap(contents) ? ["items"] : [];
    const items = isMap(contents) ? contents.get("items", true) : contents;
    const all = isMap(contents) ? (root as { items?: unknown } | undefined)?.items : root;
    if (!isSeq(items) || !Array.isArray(all)) continue;
    const at = all.findIndex((item) => isIt(item, wanted));
    const object = items.items[at];
    if (isMap(object)) return { documents, index, object, json: all[at], within: { keys, at } };
  }
  return undefined;
}

/** Undefined where it is not YAML, which is somebody else's finding. */
function jsonOf(document: Document.Parsed): unknown {
  try {
    return document.toJS();
  } catch {
    return undefined;
  }
}

function isIt(object: unknown, wanted: Wanted): boolean {
  if (typeof object !== "object" || object === null) return false;
  const { kind, metadata } = object as { kind?: unknown; metadata?: { name?: unknown; namespace?: unknown } };
  const same = (written: unknown, meant: string) => (written === undefined ? wanted.isAlone === true : String(written) === meant);
  // Where no namespace is written, the reader has its rules; there is only one object of this name and kind then.
  return (
    (kind === undefined || kind === wanted.kind) &&
    same(metadata?.name, wanted.name) &&
    (metadata?.namespace === undefined || String(metadata.namespace) === wanted.namespace)
  );
}

/** Undefined where more than lines would have to change. */
function changedInPlace(text: string, list: YAMLSeq, change: ListChange): string | undefined {
  const items = list.items as Node[];
  if (items.some((item) => !item?.range)) return undefined;
  return list.flow ? changedInFlow(text, list, items, change) : changedInLines(text, items, change);
}

function changedInFlow(text: string, list: YAMLSeq, items: readonly Node[], change: ListChange): string | undefined {
  const start = (at: number) => (items[at] as Node).range?.[0] as number;
  const end = (at: number) => (items[at] as Node).range?.[1] as number;
  if (change.kind === "insert") {
    const item = stringify(change.item, { ...style, collectionStyle: "flow" }).trim();
    if (items.length === 0) return splice(text, (list.range?.[0] as number) + 1, 0, item);
    return change.at < items.length ? splice(text, start(change.at), 0, `${item}, `) : splice(text, end(items.length - 1), 0, `, ${item}`);
  }
  const { at } = change;
  if (items.length === 1) return splice(text, start(0), end(0) - start(0), "");
  return at + 1 < items.length
    ? splice(text, start(at), start(at + 1) - start(at), "")
    : splice(text, end(at - 1), end(at) - end(at - 1), "");
}

function changedInLines(text: string, items: readonly Node[], change: ListChange): string | undefined {
  const indents = items.map(
    (item) => /^( *)- +(?:[&!]\S+ +)*$/.exec(text.slice(lineStart(text, item.range?.[0] as number), item.range?.[0]))?.[1],
  );
  const indent = indents[0];
  if (indent === undefined || indents.some((each) => each !== indent)) return undefined;
  const from = (at: number) => withComments(text, lineStart(text, (items[at] as Node).range?.[0] as number));
  const behind = (at: number) => endOf(text, items[at] as Node);
  if (change.kind === "insert") {
    const lineEnd = text.includes("\r\n") ? "\r\n" : "\n";
    const lines = stringify([change.item], style)
      .trimEnd()
      .split("\n")
      .map((line) => `${indent}${line}${lineEnd}`)
      .join("");
    const at = change.at < items.length ? from(change.at) : behind(items.length - 1);
    return splice(text, at, 0, at > 0 && text[at - 1] !== "\n" ? `${lineEnd}${lines}` : lines);
  }
  if (items.length === 1) return undefined;
  const { at } = change;
  const until = at + 1 < items.length ? from(at + 1) : behind(at);
  return splice(text, from(at), until - from(at), "");
}

/** Behind the last line of an item, with a comment that ends it. */
function endOf(text: string, { range }: Node): number {
  const [start, end] = range as [number, number, number];
  const last = start + text.slice(start, end).trimEnd().length;
  const newline = text.indexOf("\n", last);
  return newline === -1 ? text.length : newline + 1;
}

/** Comments right above a line belong to it. */
function withComments(text: string, line: number): number {
  let start = line;
  while (start > 0) {
    const above = lineStart(text, start - 1);
    if (!/^\s*#/.test(text.slice(above, start))) break;
    start = above;
  }
  return start;
}

function lineStart(text: string, at: number): number {
  return text.lastIndexOf("\n", at - 1) + 1;
}

function splice(text: string, at: number, length: number, more: string): string {
  return text.slice(0, at) + more + text.slice(at + length);
}

function changeNodes(document: Document.Parsed, list: YAMLSeq, change: ListChange): void {
  if (change.kind === "insert") list.items.splice(change.at, 0, document.createNode(change.item));
  else list.items.splice(change.at, 1);
}

function extentOf(documents: readonly Document.Parsed[], index: number, text: string): [number, number] {
  const start = index === 0 ? 0 : (documents[index]?.range[0] as number);
  const next = documents[index + 1];
  return [start, next ? next.range[0] : text.length];
}

function withDocument(text: string, documents: readonly Document.Parsed[], index: number, own: string): string {
  const [start, end] = extentOf(documents, index, text);
  const opening = index > 0 && !own.startsWith("---") ? "---\n" : "";
  return `${text.slice(0, start)}${opening}${own}${text.slice(end)}`;
}

function isWhat(text: string, expected: readonly unknown[]): boolean {
  const documents = parseAllDocuments(text, quiet) as Document.Parsed[];
  return documents.every(({ errors }) => errors.length === 0) && isDeepStrictEqual(documents.map(jsonOf), expected);
}

function replaced(root: unknown, { within }: Found, object: unknown): unknown {
  if (within === undefined) return object;
  return within.keys.length === 0
    ? (root as unknown[]).with(within.at, object)
    : { ...(root as object), items: (root as { items: unknown[] }).items.with(within.at, object) };
}

function removedAt(root: unknown, keys: readonly (string | number)[], at: number): unknown {
  return keys.length === 0
    ? (root as unknown[]).toSpliced(at, 1)
    : { ...(root as object), items: (root as { items: unknown[] }).items.toSpliced(at, 1) };
}
