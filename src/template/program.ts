// A plan → what data planes execute: plain JSON, with templates and regular expressions parsed. As text it stands in the filter context of
// Envoy's Lua filter, where lua/message.ts reads it, and where the embedded data plane finds it (stage.ts). Nothing of it is code.
import { type Block, type Expression, type Node, TemplateFault } from "./ast.ts";
import { type HeaderMatchProgram, headerMatch, type RequestMatchProgram, requestMatch } from "./match-program.ts";
import { parseTemplate } from "./parse.ts";
import { Faults, within } from "./plan-fault.ts";
import { compileRegex, type RegexProgram } from "./regex.ts";
import type { Change, Entry, Extractor, MergedKey, MetadataValue, ResponseEntry, StagePlan, Transformation } from "./transformation.ts";

export interface StageProgram {
  readonly entries: readonly EntryProgram[];
  readonly responses?: readonly { readonly headers: readonly HeaderMatchProgram[]; readonly response: ChangeProgram }[];
  readonly logs?: true;
}

export interface EntryProgram {
  readonly match?: RequestMatchProgram;
  readonly clearsRoute?: true;
  readonly request?: ChangeProgram;
  readonly response?: ChangeProgram;
}

export interface ChangeProgram {
  readonly envelope?: "plain" | "request";
  /** What it needs of the body: nothing when absent. */
  readonly needs?: "text" | "json";
  readonly ignoresBadBody?: true;
  readonly advanced?: true;
  readonly escapes?: true;
  readonly extract?: readonly ExtractorProgram[];
  readonly body?: Block;
  readonly merge?: true;
  readonly keys?: readonly { readonly name: string; readonly value: Block; readonly evenEmpty?: true }[];
  readonly metadata?: readonly { readonly namespace: string; readonly key: string; readonly value: Block; readonly isJson?: true }[];
  readonly set?: readonly HeaderProgram[];
  readonly remove?: readonly string[];
  readonly append?: readonly HeaderProgram[];
}

export interface HeaderProgram {
  readonly name: string;
  readonly value: Block;
}

export interface ExtractorProgram {
  readonly name: string;
  readonly path: readonly string[];
  readonly header?: string;
  readonly regex?: RegexProgram;
  readonly group: number;
  readonly mode?: "replaceGroup" | "replaceAll";
  readonly replacement?: string;
}

/** Throws a {@link PlanFault} for what is wrong or cannot be done. */
export function stageProgram(plan: StagePlan): StageProgram {
  const faults = new Faults();
  const entries = faults.each("entries", plan.entries, (each) => entryProgram(each));
  const responses = faults.each("responses", plan.responses ?? [], (each) => responseProgram(each));
  faults.end();
  return { entries, ...(responses.length > 0 && { responses }), ...(plan.logs && { logs: true }) };
}

function entryProgram({ match, clearsRoute, request, response }: Entry): EntryProgram {
  const faults = new Faults();
  const made = {
    match: match && faults.try("match", () => requestMatch(match)),
    request: request && faults.try("request", () => changeProgram(request, "request")),
    response: response && faults.try("response", () => changeProgram(response, "response")),
  };
  faults.end();
  return {
    ...(made.match && { match: made.match }),
    ...(clearsRoute && { clearsRoute: true }),
    ...(made.request && { request: made.request }),
    ...(made.response && { response: made.response }),
  };
}

function responseProgram({ headers, response }: ResponseEntry) {
  return {
    headers: headers.map((each, i) => within(`headers[${i}]`, () => headerMatch(each))),
    response: within("response", () => changeProgram(response, "response")),
  };
}

export type Side = "request" | "response";

/** Throws a {@link PlanFault}. */
export function changeProgram(change: Change, side: Side): ChangeProgram {
  if ("kind" in change) return { envelope: change.tellsRequest && side === "request" ? "request" : "plain", needs: "text" };
  const { body, advanced } = change;
  const faults = new Faults();
  const parse = (template: string) => parseTemplate(template, { advanced });
  const header = ([name, template]: readonly [string, string]): HeaderProgram => ({ name: headerName(name, side), value: parse(template) });
  const set = faults.each("headers", change.headers, header, ([name]) => name).filter(({ name }) => !framing.has(name));
  const append = faults.each("append", change.append, header).filter(({ name }) => !framing.has(name));
  const remove = faults.each("remove", change.remove, (name) => removable(name, side));
  const extract = faults.each("extractors", change.extractors, extractorProgram, ({ name }) => name);
  const written = body.kind === "template" ? faults.try("body", () => parse(body.template)) : undefined;
  const keys = body.kind === "mergeKeys" ? (faults.try("keys", () => keyPrograms(body.keys, change, parse)) ?? []) : [];
  const metadata = faults.each("metadata", change.metadata ?? [], (each) => metadataProgram(each, parse));
  faults.end();
  const blocks = [...[...set, ...append, ...keys, ...metadata].map(({ value }) => value), ...(written ? [written] : [])];
  const isMerged = body.kind === "mergeExtractors" || body.kind === "mergeKeys";
  const needs = bodyNeeds(change, blocks, isMerged);
  return {
    ...(needs && { needs }),
    ...(change.ignoresBadBody && { ignoresBadBody: true }),
    ...(advanced && { advanced: true }),
    ...(change.escapes && { escapes: true }),
    ...(extract.length > 0 && { extract }),
    ...(written && { body: written }),
    ...(body.kind === "mergeExtractors" && { merge: true }),
    ...(body.kind === "mergeKeys" && { keys }),
    ...(metadata.length > 0 && { metadata }),
    ...(set.length > 0 && { set }),
    ...(remove.length > 0 && { remove }),
    ...(append.length > 0 && { append }),
  };
}

function keyPrograms(keys: readonly MergedKey[], { parsesBody, advanced }: Transformation, parse: (template: string) => Block) {
  if (!parsesBody) throw new TemplateFault("MergeJsonKeys requires parsing the body");
  if (advanced) throw new TemplateFault("MergeJsonKeys is not supported with advanced templates");
  return keys.map(({ name, template, evenEmpty }) =>
    within(name, () => {
      if (name.includes(".")) throw new TemplateFault(`Invalid key name for merge_json_keys: (${name})`);
      return { name, value: parse(template), ...(evenEmpty && { evenEmpty: true as const }) };
    }),
  );
}

function metadataProgram({ namespace, key, template, isJson }: MetadataValue, parse: (template: string) => Block) {
  return { namespace, key, value: parse(template), ...(isJson && { isJson: true as const }) };
}

function extractorProgram({ name, header, regex, subgroup, mode = "extract", replacement }: Extractor): ExtractorProgram {
  const program = regex === undefined ? undefined : within("regex", () => compileRegex(regex));
  if (subgroup > (program?.groups ?? 0))
    throw new TemplateFault(`group ${subgroup} requested for regex with only ${program?.groups ?? 0} sub groups`);
  return {
    name,
    path: name.split("."),
    ...(header !== undefined && { header: header.toLowerCase() }),
    ...(program && { regex: program }),
    group: subgroup,
    ...(mode !== "extract" && { mode, replacement: replacement ?? "" }),
  };
}

/** They say where a message ends, which is for the proxy to say: what a template makes of them has no effect. */
export const framing: ReadonlySet<string> = new Set(["content-length", "transfer-encoding"]);

function removable(name: string, side: Side): string {
  const lower = headerName(name, side);
  if (lower.startsWith(":")) throw new TemplateFault(`${lower} cannot be removed from a ${side}`);
  return lower;
}

function headerName(name: string, side: Side): string {
  const lower = name.toLowerCase();
  const isPseudo = side === "request" ? [":method", ":path", ":authority", ":scheme"].includes(lower) : lower === ":status";
  if (!isPseudo && !/^[!#$%&'*+\-.^_`|~0-9a-z]+$/.test(lower)) throw new TemplateFault(`${JSON.stringify(name)} is no header of a ${side}`);
  return lower;
}

/** The body is held only if something looks at it. */
function bodyNeeds(change: Transformation, blocks: readonly Block[], isMerged: boolean): "text" | "json" | undefined {
  const { body, parsesBody, extractors, advanced } = change;
  if (body.kind === "passthrough") return undefined;
  const extracted = new Set(advanced ? [] : extractors.map(({ name }) => name));
  const use = { text: body.kind === "template" || isMerged || extractors.some(({ header }) => header === undefined), json: isMerged };
  for (const block of blocks) addUse(block, use, (path) => extracted.has(path.join(".")));
  if (use.json && parsesBody) return "json";
  // A body that is replaced has to be taken off, even if nothing of it is used.
  return use.text || use.json ? "text" : undefined;
}

interface BodyUse {
  text: boolean;
  json: boolean;
}

function addUse(block: Block, use: BodyUse, isExtracted: (path: readonly string[]) => boolean): void {
  const inBlock = (inner: Block) => addUse(inner, use, isExtracted);
  const inExpression = (expression: Expression): void => {
    if (expression[0] === "var" && !isExtracted(expression[2])) use.json = true;
    if (expression[0] !== "call") return;
    const [, name, args] = expression;
    if (name === "body") use.text = true;
    if (name === "context" || name === "exists") use.json = true;
    args.forEach(inExpression);
  };
  const inNode = (node: Node): void => {
    if (typeof node === "string") return;
    switch (node[0]) {
      case "print":
        inExpression(node[1]);
        break;
      case "set":
        inExpression(node[2]);
        break;
      case "if":
        inExpression(node[1]);
        inBlock(node[2]);
        inBlock(node[3]);
        break;
      default:
        inExpression(node[2]);
        inBlock(node[3]);
    }
  };
  block.forEach(inNode);
}
