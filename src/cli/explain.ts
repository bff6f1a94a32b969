// `headworks explain`: what becomes of a request, and why. Reads and translates as `translate` does, and sends nothing.
import { oneView } from "../admin/views.ts";
import { translateOnce } from "../control-plane.ts";
import { askedRequest, NoRequest } from "../flow/explain/asked-request.ts";
import { type AskedRequest, explain } from "../flow/explain/explain.ts";
import type { Explanation } from "../flow/explain/explanation.ts";
import { findingsOfFolder } from "./awaited-functions.ts";
import { chooseProxy } from "./choose-proxy.ts";
import { CommandError, exitCodes } from "./exit.ts";
import { explanationText } from "./explain-text.ts";
import { countOf } from "./findings.ts";
import { adminApi } from "./get-answers.ts";
import { loadPlugins } from "./plugins.ts";
import { count, painter, print, say } from "./terminal.ts";
import { openOnce, type Where } from "./where.ts";

/** Here a folder is an argument. */
const folderIs = "`explain METHOD URL DIR`";

export interface ExplainCommandOptions {
  readonly output: "text" | "json";
  readonly header?: readonly string[];
  readonly all?: boolean;
  readonly proxyName?: string;
  readonly config?: string;
  readonly server: string;
  readonly tokenFile?: string;
}

export async function explainRequest(
  { method, url }: { readonly method: string; readonly url: string },
  where: Where,
  options: ExplainCommandOptions,
): Promise<number> {
  const headers = options.header ?? [];
  const asked = requestOf(method, url, headers);
  const explanation =
    where.kind === "unsaid" ? await ofServer({ method: asked.method, url, headers }, options) : await translatedHere(asked, where, options);
  if (options.output === "json") print(JSON.stringify(explanation, undefined, 1));
  else print(explanationText(explanation, { all: options.all ?? false, paint: painter(process.stdout) }));
  return explanation.answers ? exitCodes.ok : exitCodes.findings;
}

function requestOf(...request: Parameters<typeof askedRequest>): AskedRequest {
  try {
    return askedRequest(...request);
  } catch (error) {
    throw error instanceof NoRequest ? new CommandError(error.message, exitCodes.usage, error.hint) : error;
  }
}

/** What runs explains itself. */
async function ofServer(
  { method, url, headers }: { readonly method: string; readonly url: string; readonly headers: readonly string[] },
  options: ExplainCommandOptions,
): Promise<Explanation> {
  const query = new URLSearchParams({ method, url });
  for (const header of headers) query.append("header", header);
  if (options.proxyName?.includes("~")) query.set("proxy", options.proxyName);
  else if (options.proxyName !== undefined) query.set("proxy", await proxyOfServer(options.proxyName, options));
  return (await adminApi(options, folderIs)(`/api/v1/explain?${query}`)) as Explanation;
}

async function proxyOfServer(name: string, options: ExplainCommandOptions): Promise<string> {
  const { proxies } = (await adminApi(options, folderIs)("/api/v1/proxies")) as { readonly proxies: readonly { readonly key: string }[] };
  const found = proxies.find(({ key }) => key.endsWith(`~${name}`));
  if (found === undefined)
    throw new CommandError(`there is no proxy ${name}`, exitCodes.usage, `There is ${proxies.map(({ key }) => key).join(", ") || "none"}.`);
  return found.key;
}

async function translatedHere(asked: AskedRequest, where: Where, options: ExplainCommandOptions): Promise<Explanation> {
  const plugins = await loadPlugins(options.config);
  using opened = await openOnce(where, plugins);
  const translated = await translateOnce({ source: opened.source, plugins });
  const { modelOf, placeOf } = translated;
  const proxy = chooseProxy(translated, options.proxyName);
  if (proxy === undefined)
    throw new CommandError(
      `no proxy in ${opened.name}: there is nothing that could take a request`,
      exitCodes.findings,
      "headworks check says what is not served, and why.",
    );
  const { resources, proxies } = oneView(translated);
  const knows = where.kind === "cluster" ? { knowsEndpoints: "ofServices" as const } : {};
  const explanation = explain({ resources, proxies, modelOf, placeOf }, proxy, asked, knows);
  const errors = countOf(findingsOfFolder(translated), "error");
  if (errors > 0) say(`${count(errors, "error")} in this configuration, so some of it is left out: headworks check says what`);
  return explanation;
}
