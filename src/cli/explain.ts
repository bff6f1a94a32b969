// `headworks explain`: what becomes of a request, and why. Reads and translates as `translate` does, and sends nothing.
import { oneView } from "../admin/views.ts";
import { translateOnce } from "../control-plane.ts";
import { explain } from "../flow/explain/explain.ts";
import { findingsOfFolder } from "./awaited-functions.ts";
import { chooseProxy } from "./choose-proxy.ts";
import { CommandError, exitCodes } from "./exit.ts";
import { askedRequest } from "./explain-request.ts";
import { explanationText } from "./explain-text.ts";
import { countOf } from "./findings.ts";
import { loadPlugins } from "./plugins.ts";
import { count, painter, print, say } from "./terminal.ts";
import { openOnce, type Where } from "./where.ts";

export interface ExplainCommandOptions {
  readonly output: "text" | "json";
  readonly header?: readonly string[];
  readonly all?: boolean;
  readonly proxyName?: string;
  readonly config?: string;
}

export async function explainRequest(
  { method, url }: { readonly method: string; readonly url: string },
  where: Where,
  options: ExplainCommandOptions,
): Promise<number> {
  const asked = askedRequest(method, url, options.header ?? []);
  const plugins = await loadPlugins(options.config);
  using opened = await openOnce(where, plugins);
  const translated = await translateOnce({ source: opened.source, plugins });
  const { modelOf, placeOf } = translated;
  const { resources, proxies } = oneView(translated);
  const proxy = chooseProxy(translated, options.proxyName);
  if (proxy === undefined)
    throw new CommandError(
      `no proxy in ${opened.name}: there is nothing that could take a request`,
      exitCodes.findings,
      "headworks check says what is not served, and why.",
    );
  const explanation = explain({ resources, proxies, modelOf, placeOf }, proxy, asked, { knowsEndpoints: where.kind === "cluster" });
  if (options.output === "json") print(JSON.stringify(explanation, undefined, 1));
  else print(explanationText(explanation, { all: options.all ?? false, paint: painter(process.stdout) }));
  const errors = countOf(findingsOfFolder(translated), "error");
  if (errors > 0) say(`${count(errors, "error")} in this configuration, so some of it is left out: headworks check says what`);
  return explanation.answers ? exitCodes.ok : exitCodes.findings;
}
