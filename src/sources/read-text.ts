// A text (a file, stdin, a value in Consul) to resources, and the places of fields in it.
import { hash } from "node:crypto";
import type { Registry } from "@bufbuild/protobuf";
import { LineStarts } from "../lib/line-starts.ts";
import { type Place, type Problem, problem } from "../model/problem.ts";
import { type ApiKind, kinds, type Resource } from "../model/resource.ts";
import { apiTypes } from "./any-types.ts";
import { apiContent, type Layout, type ReadResult, readDocument } from "./envelope.ts";
import { camelCase } from "./field-names.ts";
import { parsePath, type Segment } from "./field-path.ts";
import { type ObjectNode, objectsOf, textOf } from "./object-node.ts";
import { type Finding, parseYaml, type YamlDocument } from "./yaml.ts";
import { entryOf, type Span, type YamlNode } from "./yaml-node.ts";

export interface ReadTextOptions {
  /** The name of the source, for `Origin.source`; `files` unless given. */
  readonly source?: string;
  /** What the place of the file says about objects that do not say it themselves. */
  readonly layout?: Layout;
  /** For messages in a `google.protobuf.Any`; the types of the API unless given. */
  readonly types?: Registry;
  /** Fields of Upstreams that belong to types of the user. */
  readonly customKinds?: readonly string[];
}

export interface TextReading extends ReadResult {
  /** The text is not YAML at all: nothing of it can be trusted. Also among `problems`. */
  readonly isBroken: boolean;
}

/** Reads all objects of a text. `file` names it in problems. */
export function readText(text: string, file: string, options: ReadTextOptions = {}): TextReading {
  const parsed = parseYaml(text);
  const locate = locator(text, file);
  if ("failure" in parsed)
    return { resources: [], problems: [templateProblem(text, locate) ?? failureProblem(parsed.failure, locate)], isBroken: true };
  const resources: Resource[] = [];
  const problems: Problem[] = [];
  const types = options.types ?? apiTypes();
  for (const [index, document] of parsed.documents.entries()) {
    const result = readDocument(document, {
      origin: { source: options.source ?? "files", file, document: index },
      types,
      ...(options.customKinds && { customKinds: options.customKinds }),
      locate,
      versionOf: (node, without) => versionOf(text, document, node, without),
      ...(options.layout && { layout: options.layout }),
    });
    resources.push(...result.resources);
    problems.push(...result.problems);
  }
  // An object without a name, a key that is no text: what a template looks like to whoever takes it for YAML.
  const isPuzzling = problems.some(({ resource, severity }) => severity === "error" && resource === undefined);
  const template = isPuzzling ? templateProblem(text, locate) : undefined;
  return template ? { resources: [], problems: [template], isBroken: true } : { resources, problems, isBroken: false };
}

/** Commands of Go's templates; the Inja of transformations has none of them. */
const templateCommand = /\{\{-?\s*(?:[.$][A-Za-z]|(?:if|range|with|else|end|include|define|template|block)\b)[^{}]*\}\}/;

function templateProblem(text: string, locate: (span: Span) => Place | undefined): Problem | undefined {
  const found = templateCommand.exec(text);
  if (found === null) return undefined;
  const at = locate({ start: found.index, end: found.index + found[0].length });
  const hint = "render it first, as in: helm template . | headworks check -";
  return problem("error", undefined, "SyntaxError", "this is a template, not yet YAML", { ...(at && { at }), hint });
}

function failureProblem(failure: Finding, locate: (span: Span) => Place | undefined): Problem {
  const at = locate(failure);
  const details = { ...(at && { at }), ...(failure.hint !== undefined && { hint: failure.hint }) };
  return problem("error", undefined, failure.reason, failure.message, details);
}

function locator(text: string, file: string): (span: Span) => Place | undefined {
  let lines: LineStarts | undefined;
  return (span) => {
    if (span.start < 0) return undefined;
    lines ??= new LineStarts(text);
    return placeOf(text, file, lines, span);
  };
}

function placeOf(text: string, file: string, lines: LineStarts, span: Span): Place {
  const { line, column } = lines.at(Math.min(span.start, text.length));
  // What goes on in the next line is marked to the end of the first.
  const lineEnd = text.indexOf("\n", span.start);
  const end = lineEnd === -1 ? span.end : Math.min(span.end, lineEnd);
  return { file, line, column, ...(end > span.start && { endColumn: column + end - span.start }) };
}

/** Of the object's own text; of the whole document where an alias may bring in more than stands there. */
function versionOf(text: string, document: YamlDocument, node: YamlNode, without: readonly Span[]): string {
  const { root } = document;
  let own = "";
  let from = node.start;
  for (const span of without) {
    own += text.slice(from, span.start);
    from = span.end;
  }
  own += text.slice(from, node.end);
  if (root && root !== node && text.slice(root.start, root.end).includes("&")) own += text.slice(root.start, root.end);
  return hash("sha256", own, "hex").slice(0, 16);
}

interface Parsed {
  readonly text: string;
  readonly documents: readonly YamlDocument[];
  readonly lines: LineStarts;
}

/** The texts asked about last: problems come in groups, and a tree is too large to be kept for every file. */
const recentlyParsed: Parsed[] = [];

function parsedForPlaces(text: string): Parsed | undefined {
  const index = recentlyParsed.findIndex((each) => each.text === text);
  const [known] = index === -1 ? [] : recentlyParsed.splice(index, 1);
  const parsed = known ?? parsedNow(text);
  if (parsed) recentlyParsed.unshift(parsed);
  recentlyParsed.length = Math.min(recentlyParsed.length, 4);
  return parsed;
}

function parsedNow(text: string): Parsed | undefined {
  const parsed = parseYaml(text);
  return "failure" in parsed ? undefined : { text, documents: parsed.documents, lines: new LineStarts(text) };
}

/** The place of a field of a resource that was read from this text; of the nearest parent that is written. */
export function locateInText(text: string, file: string, resource: Resource, path = "", layout?: Layout): Place | undefined {
  const parsed = parsedForPlaces(text);
  const found = parsed && findObject(parsed.documents, resource, layout);
  return found && placeOf(text, file, parsed.lines, spanOf(found, resource, parsePath(path)));
}

function findObject(documents: readonly YamlDocument[], resource: Resource, layout: Layout | undefined): ObjectNode | undefined {
  const { document } = resource.origin;
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
