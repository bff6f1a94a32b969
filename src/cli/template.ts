// `headworks template test`: what a template, or the transformations of a route, make of a sample message. It runs what the embedded data
// plane runs, which makes the same bytes as Envoy's script.
import { randomBytes } from "node:crypto";
import { readFileSync } from "node:fs";
import { envoyJson } from "../admin/envoy-json.ts";
import { oneView } from "../admin/views.ts";
import { translateOnce } from "../control-plane.ts";
import { closest } from "../lib/closest.ts";
import { typeUrls } from "../model/envoy-resource.ts";
import { scriptFilters, type TransformationStage } from "../plugin/scriptFilter.ts";
import { TemplateFault } from "../template/ast.ts";
import type { HeaderList } from "../template/header-list.ts";
import { bytesOf, textOfBytes } from "../template/json.ts";
import { changeProgram } from "../template/program.ts";
import { type Message, type Outcome, type PreparedChange, type PreparedStage, prepareChange, prepareStage } from "../template/stage.ts";
import { CommandError, exitCodes } from "./exit.ts";
import { openFolders } from "./folders.ts";
import { loadPlugins } from "./plugins.ts";
import { painter, print, say } from "./terminal.ts";

export interface TemplateTestOptions {
  readonly folder?: readonly string[];
  readonly virtualService?: string;
  readonly route?: number;
  readonly method: string;
  readonly path: string;
  readonly header?: readonly string[];
  readonly data?: string;
  readonly status?: string;
  readonly responseHeader?: readonly string[];
  readonly responseData?: string;
  readonly advanced?: boolean;
  readonly escape?: boolean;
  readonly output: "text" | "json";
  readonly config?: string;
}

interface Sample {
  readonly headers: HeaderList;
  readonly body: string;
}

export async function templateTest(template: string | undefined, options: TemplateTestOptions): Promise<number> {
  const request = requestOf(options);
  if (options.folder) {
    if (template !== undefined) throw new CommandError("give a template or --folder, not both");
    const stages = await stagesOf(options.folder, options);
    return showRoute(stages, request, options);
  }
  if (template === undefined)
    throw new CommandError("a template is missing", exitCodes.usage, "headworks template test '{{ name }}' -d '{\"name\": \"Rex\"}'");
  return showTemplate(textFrom(template), request, options);
}

function requestOf({ method, path, header = [], data }: TemplateTestOptions): Sample {
  const own: HeaderList = [
    [":method", method],
    [":path", path],
    [":scheme", "http"],
    [":authority", "localhost"],
  ];
  return { headers: [...own, ...header.map(headerOf)], body: data === undefined ? "" : bytesFrom(data) };
}

function headerOf(text: string): readonly [string, string] {
  const found = /^(:?[^:\s]+):[ \t]*(.*)$/.exec(text);
  if (!found) throw new CommandError(`${JSON.stringify(text)} is no header: it is NAME: VALUE`);
  return [(found[1] as string).toLowerCase(), bytesOf(found[2] as string)];
}

/** `@FILE` is a file, `-` is stdin. */
function bytesFrom(text: string): string {
  if (text !== "-" && !text.startsWith("@")) return bytesOf(text);
  try {
    return readFileSync(text === "-" ? 0 : text.slice(1)).toString("latin1");
  } catch (error) {
    throw new CommandError(`${text === "-" ? "stdin" : text.slice(1)} cannot be read: ${(error as Error).message}`);
  }
}

function textFrom(text: string): string {
  return text === "-" || text.startsWith("@") ? textOfBytes(bytesFrom(text)) : text;
}

function showTemplate(
  template: string,
  sample: Sample,
  { advanced = false, escape: escapes = false, output }: TemplateTestOptions,
): number {
  const plain = { extractors: [], headers: [], append: [], remove: [], ignoresBadBody: false, parsesBody: sample.body !== "" };
  let change: PreparedChange;
  try {
    change = prepareChange(changeProgram({ ...plain, advanced, escapes, body: { kind: "template", template } }, "request"));
  } catch (fault) {
    if (!(fault instanceof TemplateFault)) throw fault;
    showFault(template, fault);
    return exitCodes.findings;
  }
  const outcome = change.apply(messageOf(sample));
  if (outcome.kind === "refused") {
    showFault(
      template,
      new TemplateFault(
        outcome.why.replace(/^bad request: (this is not valid JSON)?/, (_, json) => (json ? "the body (--data) is not valid JSON" : "")),
      ),
    );
    return exitCodes.findings;
  }
  const text = textOfBytes(outcome.body ?? "");
  print(output === "json" ? JSON.stringify({ text }, undefined, 1) : text);
  return exitCodes.ok;
}

/** With the line of the template, and a mark under the place. */
function showFault(template: string, { message }: TemplateFault): void {
  const paint = painter(process.stderr);
  say(`${paint("red", "✖")} ${message}`);
  const [, line = "", column = ""] = /\(at (\d+):(\d+)\)$/.exec(message) ?? [];
  const text = template.split("\n")[Number(line) - 1];
  if (text === undefined) return;
  say(`  ${line} | ${text}`);
  say(`  ${" ".repeat(line.length)} | ${" ".repeat(Number(column) - 1)}${paint("red", "^")}`);
}

function messageOf(sample: Sample, request?: HeaderList, metadata: Metadata = new Map()): Message {
  return {
    headers: sample.headers,
    body: sample.body,
    isResponse: request !== undefined,
    ...(request && { requestHeaders: request }),
    env: (name) => bytesOf(process.env[textOfBytes(name)] ?? ""),
    dynamicMetadata: (namespace, path) => {
      const [key, ...rest] = path;
      const value = metadata.get(`${namespace}\0${key}`);
      return rest.length === 0 ? value : undefined;
    },
    random: () => randomBytes(16).toString("base64").replace(/=+$/, ""),
  };
}

type Metadata = Map<string, Extract<Outcome, { kind: "changed" }>["metadata"][number]["value"]>;
type Stages = ReadonlyMap<TransformationStage, PreparedStage>;

interface RouteJson {
  readonly name?: string;
  readonly typedPerFilterConfig?: Readonly<
    Record<string, { readonly filterContext?: { readonly program?: string }; readonly disabled?: boolean }>
  >;
}

interface HostJson extends RouteJson {
  readonly routes?: readonly RouteJson[];
}

async function stagesOf(folders: readonly string[], { virtualService, route, config }: TemplateTestOptions): Promise<Stages> {
  const plugins = await loadPlugins(config);
  const translation = oneView(await translateOnce({ source: await openFolders(folders, plugins), plugins }));
  const hosts = [...translation.proxies.values()]
    .flat()
    .filter((each) => each.typeUrl === typeUrls.route)
    .flatMap((each) => (envoyJson(each).virtualHosts ?? []) as unknown as HostJson[]);
  const host = hostOf(hosts, virtualService);
  const routes = host.routes ?? [];
  const chosen = route === undefined ? (routes.find(hasProgram) ?? routes[0]) : routes[route];
  if (chosen === undefined) throw new CommandError(`${host.name} has ${routes.length} routes; --route counts them from 0`);
  say(`route ${chosen.name ?? ""}`);
  const stages = new Map<TransformationStage, PreparedStage>();
  for (const [stage, { name }] of Object.entries(scriptFilters) as [TransformationStage, { name: string }][]) {
    const found = chosen.typedPerFilterConfig?.[name] ?? host.typedPerFilterConfig?.[name];
    if (found?.filterContext?.program) stages.set(stage, prepareStage(found.filterContext.program));
  }
  if (stages.size === 0) say("it has no transformation that can be used; `headworks check` says why, if one is written");
  return stages;
}

function hostOf(hosts: readonly HostJson[], wanted: string | undefined): HostJson {
  const names = [...new Set(hosts.map(({ name = "" }) => name))];
  if (wanted === undefined) {
    const found = hosts.find((each) => hasProgram(each) || each.routes?.some(hasProgram)) ?? hosts[0];
    if (found) return found;
    throw new CommandError("there is no VirtualService that is served; `headworks check` says why");
  }
  const name = wanted.replace(/[./]/, "_");
  const found = hosts.find((each) => each.name === name || each.name === `gloo-system_${name}`);
  if (found) return found;
  const near = closest(
    name,
    names.flatMap((each) => [each, each.replace(/^[^_]*_/, "")]),
  );
  throw new CommandError(
    `there is no VirtualService ${wanted} that is served`,
    exitCodes.usage,
    near ? `Did you mean ${near.replace("_", ".")}?` : undefined,
  );
}

function hasProgram({ typedPerFilterConfig }: RouteJson): boolean {
  return Object.values(scriptFilters).some(({ name }) => typedPerFilterConfig?.[name]?.filterContext?.program);
}

interface Shown {
  readonly headers: HeaderList;
  readonly body: string;
  readonly refused?: string;
}

/** The request passes the stages in their order, the response in the opposite one. */
function showRoute(stages: Stages, request: Sample, options: TemplateTestOptions): number {
  const metadata: Metadata = new Map();
  const order = [...stages.keys()];
  const chosen = new Map<TransformationStage, PreparedChange | undefined>();
  let sent: Shown = request;
  for (const stage of order) {
    const prepared = stages.get(stage) as PreparedStage;
    const selection = prepared.onRequest(sent.headers);
    chosen.set(stage, selection?.response);
    if (selection?.request) sent = changed(selection.request, sent, undefined, metadata);
    if (sent.refused !== undefined) break;
  }
  const answer = sent.refused === undefined ? responseOf(options) : undefined;
  let received: Shown | undefined = answer;
  for (const stage of received ? order.toReversed() : []) {
    const change = chosen.get(stage) ?? stages.get(stage)?.onResponse((received as Shown).headers);
    if (change) received = changed(change, received as Shown, sent.headers, metadata);
    if (received?.refused !== undefined) break;
  }
  show({ request: sent, ...(received && { response: received }) }, options.output);
  return sent.refused === undefined && received?.refused === undefined ? exitCodes.ok : exitCodes.findings;
}

function responseOf({ status, responseHeader = [], responseData }: TemplateTestOptions): Shown | undefined {
  if (status === undefined && responseData === undefined && responseHeader.length === 0) return undefined;
  return {
    headers: [[":status", status ?? "200"], ...responseHeader.map(headerOf)],
    body: responseData === undefined ? "" : bytesFrom(responseData),
  };
}

function changed(change: PreparedChange, message: Shown, request: HeaderList | undefined, metadata: Metadata): Shown {
  const seen = { headers: message.headers, body: change.needsBody ? message.body : "" };
  const outcome = change.apply(messageOf(seen, request, metadata));
  if (outcome.kind === "refused") return { ...message, refused: outcome.why };
  for (const { namespace, key, value } of outcome.metadata) metadata.set(`${namespace}\0${key}`, value);
  return { headers: outcome.headers, body: outcome.body ?? message.body };
}

function show(messages: Readonly<Record<string, Shown>>, output: "text" | "json"): void {
  if (output === "json") {
    const json = Object.entries(messages).map(([name, { headers, body, refused }]) => [
      name,
      refused === undefined ? { headers: headers.map((pair) => pair.map(textOfBytes)), body: textOfBytes(body) } : { refused },
    ]);
    print(JSON.stringify(Object.fromEntries(json), undefined, 1));
    return;
  }
  const paint = painter(process.stdout);
  print(
    Object.entries(messages)
      .map(([name, { headers, body, refused }]) => {
        if (refused !== undefined) return `${paint("red", `the ${name} is answered with 400`)}\n${textOfBytes(refused)}`;
        const lines = headers.map(([key, value]) => `${paint("cyan", key)}: ${textOfBytes(value)}`);
        return [paint("bold", name), ...lines, ...(body === "" ? [] : ["", textOfBytes(body)])].join("\n");
      })
      .join("\n\n"),
  );
}
