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
  /** In the list of this document, at this place. */
  readonly within?: { readonly keys: readonly (string | number)[]; readonly at: number };
}

const style = { lineWidth: 0 } as const;

/** The text with the change made; undefined where the object is not in it. */
export function editYaml(text: string, wanted: Wanted, edit: ListEdit): string | undefined {
  const found = find(text, wanted);
  if (found === undefined) return undefined;
  const { documents, index, object } = found;
  const json = object.toJSON();
  const keys = keysOf(json, edit);
  const expected = documents.map((each) => each.toJS());
  expected[index] = replaced(expected[index], found, edited(json, edit));
  const list = object.getIn(keys, true);
  const inPlace = isSeq(list) ? changedInPlace(text, list, edit.change) : undefined;
  if (inPlace !== undefined && isWhat(inPlace, expected)) return inPlace;
  const document = documents[index] as Document.Parsed;
  if (isSeq(list)) changeNodes(document, list, edit.change);
  else object.setIn(keys, document.createNode(changedList([], edit.change)));
  return withDocument(text, documents, index, document.toString(style));
}

/** The text without the object; "" where nothing else is in it, undefined where the object is not. */
export function removeFromYaml(text: string, wanted: Wanted): string | undefined {
  const found = find(text, wanted);
  if (found === undefined) return undefined;
  const { documents, index, within } = found;
  if (within) {
    const document = documents[index] as Document.Parsed;
    const list = document.getIn(within.keys, true) as YAMLSeq;
    const others = documents.map((each) => each.toJS());
    const expected = others.with(index, removedAt(others[index], within.keys, within.at));
    const inPlace = changedInPlace(text, list, { kind: "remove", at: within.at });
    if (inPlace !== undefined && isWhat(inPlace, expected)) return inPlace;
    list.delete(within.at);
    return withDocument(text, documents, index, document.toString(style));
  }
  const others = documents.filter((each, at) => at !== index && each.contents !== null);
  if (others.length === 0) return "";
  const [start, end] = extentOf(documents, index, text);
  const rest = text.slice(0, start) + text.slice(end);
  return index === 0 ? rest.replace(/^---[^\S\n]*\n/, "") : rest;
}

/** The text with one more document. */
export function appendToYaml(text: string, object: unknown): string {
  if (text.trim() === "") return text + stringify(object, style);
  return `${text.endsWith("\n") ? text : `${text}\n`}---\n${stringify(object, style)}`;
}

function find(text: string, wanted: Wanted): Found | undefined {
  const documents = parseAllDocuments(text, { keepSourceTokens: false }) as Document.Parsed[];
  for (const [index, { contents }] of documents.entries()) {
    if (!isMap(contents) && !isSeq(contents)) continue;
    if (isMap(contents) && isIt(contents, wanted)) return { documents, index, object: contents };
    const keys = isMap(contents) ? ["items"] : [];
    const items = isMap(contents) ? contents.get("items", true) : contents;
    if (!isSeq(items)) continue;
    const at = items.items.findIndex((item) => isMap(item) && isIt(item, wanted));
    if (at !== -1) return { documents, index, object: items.items[at] as YAMLMap, within: { keys, at } };
  }
  return undefined;
}

function isIt(object: YAMLMap, wanted: Wanted): boolean {
  const { kind, metadata } = object.toJSON() as { kind?: unknown; metadata?: { name?: unknown; namespace?: unknown } };
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
  const indents = items.map((item) => /^( *)- +$/.exec(text.slice(lineStart(text, item.range?.[0] as number), item.range?.[0]))?.[1]);
  const indent = indents[0];
  if (indent === undefined || indents.some((each) => each !== indent)) return undefined;
  const from = (at: number) => withComments(text, lineStart(text, (items[at] as Node).range?.[0] as number));
  const behind = (at: number) => endOf(text, items[at] as Node);
  if (change.kind === "insert") {
    const lines = stringify([change.item], style)
      .trimEnd()
      .split("\n")
      .map((line) => `${indent}${line}\n`)
      .join("");
    const at = change.at < items.length ? from(change.at) : behind(items.length - 1);
    return splice(text, at, 0, at > 0 && text[at - 1] !== "\n" ? `\n${lines}` : lines);
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
  const documents = parseAllDocuments(text) as Document.Parsed[];
  return (
    documents.every(({ errors }) => errors.length === 0) &&
    isDeepStrictEqual(
      documents.map((each) => each.toJS()),
      expected,
    )
  );
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
