// `headworks translate`: what a folder or a cluster comes to for one proxy, in Envoy's own terms. Secrets are printed as Envoy would get them:
// whoever can read it has them already.

import { type EnvoyKind, envoyKinds } from "../admin/contract.ts";
import { envoyJson } from "../admin/envoy-json.ts";
import { discoveredUpstreams, envoyResources, oneView } from "../admin/views.ts";
import { type Translation, translateOnce } from "../control-plane.ts";
import type { ProxyKey } from "../model/envoy-resource.ts";
import type { Status } from "../model/status.ts";
import { findingsOfFolder } from "./awaited-functions.ts";
import { chooseProxy } from "./choose-proxy.ts";
import { exitCodes } from "./exit.ts";
import { countOf } from "./findings.ts";
import { prettyFindings } from "./findings-pretty.ts";
import { loadPlugins } from "./plugins.ts";
import { painter, print, say } from "./terminal.ts";
import { openOnce, type Where } from "./where.ts";

export interface TranslateOptions {
  readonly output: "json" | "yaml";
  readonly proxyName?: string;
  readonly config?: string;
}

export async function translate(where: Where, options: TranslateOptions): Promise<number> {
  const plugins = await loadPlugins(options.config);
  using opened = await openOnce(where, plugins);
  const { source } = opened;
  const translation = oneView(await translateOnce({ source, plugins }));
  const output = outputOf(translation, chooseProxy(translation, options.proxyName));
  if (options.output === "json") print(JSON.stringify(output, undefined, 1));
  else {
    const { yamlText } = await import("../lib/yaml-text.ts");
    print(yamlText(output));
  }
  const findings = findingsOfFolder(translation);
  if (findings.length > 0) say(prettyFindings({ findings, textOf: (file) => translation.textOf(file) }, painter(process.stderr)).trimEnd());
  return countOf(findings, "error") > 0 ? exitCodes.findings : exitCodes.ok;
}

function outputOf(translation: Translation, proxy: ProxyKey | undefined) {
  const served = (proxy && translation.proxies.get(proxy)) ?? [];
  const resources = (kind: EnvoyKind) => envoyResources(served, kind).map(envoyJson);
  return {
    statuses: Object.fromEntries([...translation.statuses].map(([key, status]) => [key, statusJson(status)])),
    ...(Object.fromEntries(envoyKinds.map((kind) => [kind, resources(kind)])) as Record<EnvoyKind, unknown[]>),
    discovered: discoveredUpstreams(translation),
  };
}

function statusJson({ state, reason, subresourceStatuses }: Status) {
  const parts = Object.entries(subresourceStatuses).map(([name, part]) => [name, { state: part.state, reason: part.reason }] as const);
  return { state, reason, ...(parts.length > 0 && { subresources: Object.fromEntries(parts) }) };
}
