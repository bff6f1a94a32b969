// A program for a data plane without Lua: which change a message gets, and the message changed. Pure: what is around a message is handed in.
// lua/message.ts does the same in Lua.
//
// Who calls it does what lua/envoy.ts does: asks `onRequest` once and keeps what it chose, also for the response; asks nothing for responses to
// requests that did not come this far, and for its own refusals; hands in no body for upgrades and ignores the body that comes out, as for responses to
// HEAD and those of 204 and 304 that have none.
import { TemplateFault } from "./ast.ts";
import { envelopeOf } from "./envelope.ts";
import { firstOf, type HeaderList, replaced } from "./header-list.ts";
import { bytesOf, dumpJson, parseJson } from "./json.ts";
import { headersFit, requestFits } from "./match-run.ts";
import type { ChangeProgram, ExtractorProgram, StageProgram } from "./program.ts";
import { groupOf, matchAt, replaceAll } from "./regex-run.ts";
import { compileTemplate, type Render } from "./render.ts";
import { newBudget, type Scope, type Surroundings } from "./scope.ts";
import { isObject, type Value } from "./value.ts";

export interface PreparedStage {
  /** What the request chooses; undefined when nothing fits. */
  readonly onRequest: (headers: HeaderList) => Selection | undefined;
  /** What the response gets where the request has chosen no change of it. Ask only if the request came this far. */
  readonly onResponse: (headers: HeaderList) => PreparedChange | undefined;
  readonly logs: boolean;
}

export interface Selection {
  readonly request?: PreparedChange;
  readonly response?: PreparedChange;
  readonly clearsRoute: boolean;
}

export interface PreparedChange {
  /** Wait for the whole body, and hand it in. */
  readonly needsBody: boolean;
  readonly apply: (message: Message) => Outcome;
}

export interface Message {
  readonly headers: HeaderList;
  /** Empty where there is none, or it is not needed. */
  readonly body: string;
  /** Of the request, when this is the response to it. */
  readonly requestHeaders?: HeaderList;
  readonly isResponse: boolean;
  readonly env: Surroundings["env"];
  readonly dynamicMetadata: Surroundings["dynamicMetadata"];
  readonly random: Surroundings["random"];
}

export type Outcome = Changed | Refused;

export interface Changed {
  readonly kind: "changed";
  readonly headers: HeaderList;
  /** Absent: the body goes on as it is. */
  readonly body?: string;
  readonly metadata: readonly { readonly namespace: string; readonly key: string; readonly value: Value }[];
}

/** Requests are answered with this; a response becomes this. */
export interface Refused {
  readonly kind: "refused";
  readonly status: 400;
  readonly why: string;
}

/** `text`: the program as it stands in the filter context. */
export function prepareStage(text: string): PreparedStage {
  const program = JSON.parse(text) as StageProgram;
  const entries = program.entries.map(({ match, request, response, clearsRoute }) => ({
    match,
    selection: {
      clearsRoute: clearsRoute === true,
      ...(request && { request: prepareChange(request) }),
      ...(response && { response: prepareChange(response) }),
    },
  }));
  const responses = (program.responses ?? []).map(({ headers, response }) => ({ headers, change: prepareChange(response) }));
  return {
    onRequest: (headers) => entries.find(({ match }) => match === undefined || requestFits(match, headers))?.selection,
    onResponse: (headers) => responses.find((each) => headersFit(each.headers, headers))?.change,
    logs: program.logs === true,
  };
}

export function prepareChange(change: ChangeProgram): PreparedChange {
  const run = change.envelope ? envelopes(change.envelope) : templatesOf(change);
  return {
    needsBody: change.needs !== undefined,
    apply: (message) => {
      try {
        return run(message);
      } catch (fault) {
        if (fault instanceof TemplateFault) return { kind: "refused", status: 400, why: `bad request: ${fault.message}` };
        throw fault;
      }
    },
  };
}

type Run = (message: Message) => Changed;

function envelopes(kind: "plain" | "request"): Run {
  return ({ headers, body }) => ({
    kind: "changed",
    headers: replaced(headers, "content-type", "application/json"),
    body: envelopeOf(kind, headers, body),
    metadata: [],
  });
}

function templatesOf(change: ChangeProgram): Run {
  const options = { escapes: change.escapes === true };
  const body = change.body && compileTemplate(change.body, options);
  const ready = <T extends { readonly value: Parameters<typeof compileTemplate>[0] }>(list: readonly T[] | undefined) =>
    (list ?? []).map((each) => ({ ...each, render: compileTemplate(each.value, options) }));
  const [keys, metadata, set, append] = [ready(change.keys), ready(change.metadata), ready(change.set), ready(change.append)];
  return (message) => {
    const { headers } = message;
    let seen = headers;
    const scope = scopeOf(change, message, (name) => firstOf(seen, name));
    const written = body
      ? body(scope.now())
      : change.merge
        ? dumpJson(scope.context())
        : keys.length > 0
          ? mergedKeys(keys, scope)
          : undefined;
    const found = metadata.flatMap(({ namespace, key, isJson, render }) => {
      const text = render(scope.now());
      const value = text === "" ? null : isJson ? orText(text) : text;
      return value === null ? [] : [{ namespace: bytesOf(namespace), key: bytesOf(key), value }];
    });
    const values = set.map(({ name, render }) => [name, clean(name, render(scope.now()))] as const);
    for (const [name, value] of values) seen = replaced(seen, name, value);
    for (const name of change.remove ?? []) seen = replaced(seen, name, "");
    for (const { name, render } of append) {
      const value = clean(name, render(scope.now()));
      if (value !== "") seen = [...seen, [name, value]];
    }
    if (written === "") seen = replaced(seen, "content-type", "");
    return { kind: "changed", headers: seen, ...(written !== undefined && { body: written }), metadata: found };
  };
}

interface Scoped {
  now(): Scope;
  context(): Value;
  setKey(key: string, value: Value): void;
}

function scopeOf(change: ChangeProgram, message: Message, header: (name: string) => string): Scoped {
  const { body } = message;
  let context: Value = null;
  if (change.needs === "json" && body !== "") context = change.ignoresBadBody ? (parsed(body) ?? null) : parseJson(body);
  const extractions = new Map<string, string>();
  for (const each of change.extract ?? []) {
    const value = extracted(each, each.header === undefined ? body : header(each.header));
    extractions.set(bytesOf(each.name), value);
    if (change.advanced) continue;
    context = withPlace(context, `the extracted ${each.name}`);
    put(context as Map<string, Value>, each, value);
  }
  const asked = message.requestHeaders;
  const around: Surroundings = {
    header,
    requestHeader: (name) => (message.isResponse ? firstOf(asked ?? [], name) : header(name)),
    env: message.env,
    dynamicMetadata: message.dynamicMetadata,
    random: message.random,
  };
  const base = { around, body, extractions, locals: new Map<string, Value>(), budget: newBudget() };
  return {
    now: () => ({ ...base, context, root: isObject(context) ? context : new Map() }),
    context: () => context,
    setKey(key, value) {
      context = withPlace(context, `the key ${key}`);
      (context as Map<string, Value>).set(bytesOf(key), value);
    },
  };
}

function withPlace(context: Value, what: string): Value {
  if (context === null) return new Map<string, Value>();
  if (!isObject(context)) throw new TemplateFault(`the body is no JSON object, which ${what} needs`);
  return context;
}

function put(context: Map<string, Value>, { path, name }: ExtractorProgram, value: string): void {
  let at = context;
  for (const step of path.slice(0, -1).map(bytesOf)) {
    const next = at.get(step) ?? new Map<string, Value>();
    if (!isObject(next)) throw new TemplateFault(`the extracted ${name} has no place in the body`);
    at.set(step, next);
    at = next as Map<string, Value>;
  }
  at.set(bytesOf(path.at(-1) ?? ""), value);
}

function mergedKeys(keys: readonly { readonly name: string; readonly evenEmpty?: true; readonly render: Render }[], scope: Scoped): string {
  for (const { name, evenEmpty, render } of keys) {
    const text = render(scope.now());
    if (text !== "" || evenEmpty) scope.setKey(name, parseJson(text));
  }
  return dumpJson(scope.context());
}

/** What is no JSON is a text. */
function orText(text: string): Value {
  const value = parsed(text);
  return value === undefined ? text : value;
}

function parsed(text: string): Value | undefined {
  try {
    return parseJson(text);
  } catch {
    return undefined;
  }
}

function extracted({ header, regex, mode, group, replacement = "" }: ExtractorProgram, source: string): string {
  // A header that is not there is empty, whatever the expression says.
  if (regex === undefined || (header !== undefined && source === "")) return source;
  const by = bytesOf(replacement);
  if (mode === "replaceAll") return replaceAll(regex, source, by);
  if (mode === "replaceGroup") {
    const match = matchAt(regex, source, 0, "prefix");
    if (match?.[1] !== source.length) return source;
    let [first = -1, last = -1] = [match[group * 2], match[group * 2 + 1]];
    if (first < 0 || last < 0) first = last = source.length;
    return source.slice(0, first) + by + source.slice(last);
  }
  const match = matchAt(regex, source, 0, "whole");
  return match ? groupOf(source, match, group) : "";
}

/** A variable must not be able to end a header line, or the request line. */
export function clean(name: string, value: string): string {
  if (value === "") {
    if (name.startsWith(":")) throw new TemplateFault(`the header ${name} would be empty`);
    return value;
  }
  if (name === ":path") {
    if (!value.startsWith("/")) throw new TemplateFault("the path does not begin with /");
    // biome-ignore lint/suspicious/noControlCharactersInRegex: they are encoded
    return value.replace(/[\x00-\x20"#<>\\^{|}\x7f-\xff]/g, (c) => `%${c.charCodeAt(0).toString(16).toUpperCase().padStart(2, "0")}`);
  }
  if (name === ":method" && !/^[A-Z]+$/.test(value)) throw new TemplateFault("the method is none");
  if (name === ":status" && !/^[2-5][0-9][0-9]$/.test(value)) throw new TemplateFault("the status is none");
  // biome-ignore lint/suspicious/noControlCharactersInRegex: they are refused
  if (/[\x00-\x08\x0a-\x1f\x7f]/.test(value)) throw new TemplateFault(`the header ${name} would have a control character`);
  return value;
}
