// A transformation → the source of a Lua script for Envoy's Lua filter. What it does, and in which order, is what Gloo's transformation
// filter does; what it runs on is runtime.ts. Nothing of the user's text gets into the script but as quoted strings.
import { type Expression, TemplateFault } from "./ast.ts";
import { parseTemplate } from "./parse.ts";
import { luaPattern } from "./pattern.ts";

export interface Transformation {
  /** Variables taken out of headers. With `advanced`, they are read by `extraction("name")`. */
  readonly extractors: readonly Extractor[];
  /** Name to template; an empty result removes the header. */
  readonly headers: readonly (readonly [name: string, template: string])[];
  readonly append: readonly (readonly [name: string, template: string])[];
  readonly remove: readonly string[];
  readonly body:
    | { readonly kind: "passthrough" }
    | { readonly kind: "keep" }
    | { readonly kind: "mergeExtractors" }
    | { readonly kind: "template"; readonly template: string };
  readonly parsesBody: boolean;
  readonly ignoresBadBody: boolean;
  readonly advanced: boolean;
}

export interface Extractor {
  readonly name: string;
  /** Lower case. */
  readonly header: string;
  /** Of the text that the header has; the whole of it when absent. */
  readonly regex?: string;
  readonly subgroup: number;
}

export interface Transformations {
  readonly request?: Transformation;
  readonly response?: Transformation;
}

/** The scripts of a route, for the runtime to run. Throws a {@link TemplateFault} for what cannot be done. */
export function luaScripts({ request, response }: Transformations): { readonly request?: string; readonly response?: string } {
  return { ...(request && { request: side("request", request) }), ...(response && { response: side("response", response) }) };
}

function side(which: "request" | "response", transformation: Transformation): string {
  const { extractors, headers, append, remove, body } = transformation;
  if (body.kind === "mergeExtractors" && transformation.advanced)
    throw new TemplateFault("mergeExtractorsToBody with advancedTemplates is not supported yet");
  const scope: Scope = { which, advanced: transformation.advanced };
  const pairs = (list: Transformation["headers"]) => list.map(([name, template]) => setting(which, name, template, scope)).join(", ");
  const isPassthrough = body.kind === "passthrough";
  const writes = body.kind === "template" ? print(body.template, scope) : body.kind === "mergeExtractors" ? "R.dump(s.context)" : "nil";
  return [
    "local R = ...",
    "return function(handle)",
    `  local s = {advanced = ${transformation.advanced}, is_response = ${which === "response"}}`,
    isPassthrough ? "  s.body = ''" : "  R.read_body(s, handle)",
    // Only now: Envoy forgets wrappers while it waits for the body.
    "  s.headers = handle:headers()",
    "  local fine, fault = pcall(function()",
    isPassthrough || !transformation.parsesBody ? "    s.context = R.object()" : `    R.parse_body(s, ${transformation.ignoresBadBody})`,
    ...extractors.map((each) => `    R.extract(s, ${quoted(each.name)}, ${extractor(each)})`),
    `    s.new_body = ${writes}`,
    `    s.set = {${pairs(headers)}}`,
    `    s.append = {${pairs(append)}}`,
    "  end)",
    "  if not fine then return R.refuse(handle, s, fault) end",
    `  R.apply(s, {${remove.map((name) => quoted(name.toLowerCase())).join(", ")}})`,
    isPassthrough ? "" : "  R.write_body(s, handle)",
    "end\n",
  ]
    .filter((line) => line !== "")
    .join("\n");
}

function extractor({ header, regex, subgroup }: Extractor): string {
  const value = `R.first(s, ${quoted(header)})`;
  if (regex === undefined) return value;
  const { pattern, groups } = luaPattern(regex);
  if (subgroup > groups) throw new TemplateFault(`the regular expression ${JSON.stringify(regex)} has no group ${subgroup}`);
  return `R.match(${value}, ${quoted(pattern)}, ${subgroup})`;
}

function setting(which: "request" | "response", name: string, template: string, scope: Scope): string {
  const lower = name.toLowerCase();
  const isPseudo = which === "request" ? [":method", ":path", ":authority", ":scheme"].includes(lower) : lower === ":status";
  if (!isPseudo && !/^[!#$%&'*+\-.^_`|~0-9a-z]+$/.test(lower))
    throw new TemplateFault(`${JSON.stringify(name)} is no header of a ${which}`);
  return `{${quoted(lower)}, R.clean(${quoted(lower)}, ${print(template, scope)})}`;
}

interface Scope {
  readonly which: "request" | "response";
  readonly advanced: boolean;
}

/** An expression of Lua for the text that a template renders to. */
function print(template: string, scope: Scope): string {
  const parts = parseTemplate(template).map((part) => (part.kind === "text" ? quoted(part.text) : `R.text(${value(part.value, scope)})`));
  return parts.length === 0 ? '""' : parts.join(" .. ");
}

function value(expression: Expression, scope: Scope): string {
  switch (expression.kind) {
    case "text":
      return quoted(expression.text);
    case "number":
      return `R.number(${quoted(expression.text)})`;
    case "constant":
      return expression.value === null ? "R.null" : String(expression.value);
    case "variable":
      return `R.known(s, ${path(expression.path, scope)})`;
    case "call":
      return call(expression.name, expression.args, scope);
  }
}

function path(text: string, { advanced }: Scope): string {
  const steps = text.split(advanced ? "/" : ".");
  return `{${steps.map(quoted).join(", ")}}`;
}

/** Functions that are plain calls: name to how many values they take. */
const plain: Readonly<Record<string, readonly number[]>> = {
  header: [1],
  request_header: [1],
  extraction: [1],
  body: [0],
  context: [0],
  upper: [1],
  lower: [1],
  trim: [1],
  raw_string: [1],
  substring: [2, 3],
};

function call(name: string, args: readonly Expression[], scope: Scope): string {
  const [first, second] = args;
  if (name === "default" && first && second && args.length === 2) {
    if (first.kind !== "variable") return value(first, scope);
    return `R.either(s, ${path(first.path, scope)}, function() return ${value(second, scope)} end)`;
  }
  if (name === "exists" && first?.kind === "text" && args.length === 1) return `(R.find(s, ${path(first.text, scope)}) ~= nil)`;
  if (name === "request_header" && scope.which === "response") throw new TemplateFault("request_header in a response is not supported yet");
  if (!Object.hasOwn(plain, name)) throw new TemplateFault(`the function ${name} is not supported yet`);
  if (!plain[name]?.includes(args.length))
    throw new TemplateFault(`the function ${name} takes ${plain[name]?.join(" or ")} values, not ${args.length}`);
  return `R.inja_${name}(${["s", ...args.map((each) => value(each, scope))].join(", ")})`;
}

/** A string of Lua, whatever is in the text. */
export function quoted(text: string): string {
  let out = '"';
  for (const byte of new TextEncoder().encode(text)) {
    const isPlain = byte >= 0x20 && byte < 0x7f && byte !== 0x22 && byte !== 0x5c;
    out += isPlain ? String.fromCharCode(byte) : `\\${String(byte).padStart(3, "0")}`;
  }
  return `${out}"`;
}
