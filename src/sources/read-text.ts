// A text (a file, stdin, a value in Consul) to resources.
import { hash } from "node:crypto";
import type { Registry } from "@bufbuild/protobuf";
import { type Place, type Problem, problem } from "../model/problem.ts";
import type { Resource } from "../model/resource.ts";
import { apiTypes } from "./any-types.ts";
import { type Layout, type ReadResult, readDocument } from "./envelope.ts";
import { locator } from "./text-places.ts";
import { type Finding, parseYaml, type YamlDocument } from "./yaml.ts";
import type { Span, YamlNode } from "./yaml-node.ts";

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

/** What was read of some documents. */
export interface PartReading extends ReadResult {
  /** How many documents there are in it. */
  readonly documents: number;
}

/** What stands in front of a part of a text. */
export interface Before {
  readonly lines: number;
  readonly documents: number;
}

const nothing: Before = { lines: 0, documents: 0 };

/** Reads all objects of a text. `file` names it in problems. */
export function readText(text: string, file: string, options: ReadTextOptions = {}): TextReading {
  const read = readPart(text, file, options);
  const template = () => templateProblem(text, locator(text, file));
  if ("failure" in read) return { resources: [], problems: [template() ?? read.failure], isBroken: true };
  const found = isPuzzling(read.problems) ? template() : undefined;
  if (found) return { resources: [], problems: [found], isBroken: true };
  return { resources: read.resources, problems: read.problems, isBroken: false };
}

/** An object without a name, a key that is no text: what a template looks like to whoever takes it for YAML. */
export function isPuzzling(problems: readonly Problem[]): boolean {
  return problems.some(({ resource, severity }) => severity === "error" && resource === undefined);
}

/** Reads documents of a text, which stand after others. */
export function readPart(
  text: string,
  file: string,
  options: ReadTextOptions,
  before = nothing,
): PartReading | { readonly failure: Problem } {
  const parsed = parseYaml(text, before.lines);
  const locate = locator(text, file, before.lines);
  if ("failure" in parsed) return { failure: failureProblem(parsed.failure, locate) };
  const resources: Resource[] = [];
  const problems: Problem[] = [];
  const types = options.types ?? apiTypes();
  for (const [index, document] of parsed.documents.entries()) {
    const result = readDocument(document, {
      origin: { source: options.source ?? "files", file, document: before.documents + index },
      types,
      ...(options.customKinds && { customKinds: options.customKinds }),
      locate,
      versionOf: (node, without) => versionOf(text, document, node, without),
      ...(options.layout && { layout: options.layout }),
    });
    resources.push(...result.resources);
    problems.push(...result.problems);
  }
  return { resources, problems, documents: parsed.documents.length };
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
