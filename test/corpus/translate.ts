// A case as `headworks translate -o json` would print it, in this process: by the flow, or by the stages called one after the other.
import type { JsonObject } from "@bufbuild/protobuf";
import { envoyJson } from "../../src/admin/envoy-json.ts";
import { discoveredUpstreams } from "../../src/admin/views.ts";
import { builtins } from "../../src/builtins.ts";
import { type Translation, translateOnce } from "../../src/control-plane.ts";
import { worldOf } from "../../src/lib/testing/world.ts";
import { type EnvoyResource, type TypeUrl, typeUrls } from "../../src/model/envoy-resource.ts";
import type { ResourceKey } from "../../src/model/ref.ts";
import type { Resource } from "../../src/model/resource.ts";
import type { Status } from "../../src/model/status.ts";
import { memorySource } from "../../src/sources/memory.ts";
import { readText } from "../../src/sources/read-text.ts";
import { assemble } from "./assemble.ts";
import type { Case } from "./cases.ts";
import type { Output } from "./compare.ts";

export type Input = Pick<Case, "input" | "settings">;

const defaultProxy = "gateway-proxy";

export async function translateCase(each: Input, proxyName = defaultProxy): Promise<Output> {
  const translation = await translateOnce({ source: memorySource(resourcesOf(each)), plugins: builtins });
  return { ...outputOf(translation.statuses, servedBy(translation, proxyName)), discovered: discoveredUpstreams(translation) };
}

/** What a proxy is served; where there is none of that name, the first. */
export function servedBy({ proxies }: Translation, proxyName = defaultProxy): readonly EnvoyResource[] {
  return ([...proxies].find(([key]) => key.endsWith(`~${proxyName}`)) ?? [...proxies][0])?.[1] ?? [];
}

export function assembleCase(each: Input, proxyName = defaultProxy): Output {
  const { statuses, proxies } = assemble(worldOf(watched(resourcesOf(each))), builtins);
  return outputOf(statuses, proxies.get(proxyName) ?? [...proxies.values()][0] ?? []);
}

export function resourcesOf({ input, settings }: Input): readonly Resource[] {
  return [...readText(JSON.stringify(settings), "settings.json").resources, ...readText(input, "input.yaml").resources];
}

export function outputOf(statuses: ReadonlyMap<ResourceKey, Status>, served: readonly EnvoyResource[]): Output {
  const json = (typeUrl: TypeUrl): JsonObject[] => served.filter((each) => each.typeUrl === typeUrl).map(envoyJson);
  return {
    statuses: Object.fromEntries([...statuses].map(([key, { state, reason }]) => [key, { state, reason }])),
    clusters: json(typeUrls.cluster),
    endpoints: json(typeUrls.endpoint),
    listeners: json(typeUrls.listener),
    routes: json(typeUrls.route),
  };
}

/** Those in the namespaces that the Settings watch. */
function watched(resources: readonly Resource[]): readonly Resource[] {
  const settings = resources.find((each): each is Resource<"Settings"> => each.kind === "Settings")?.spec;
  const namespaces = settings?.watchNamespaces ?? [];
  if (namespaces.length === 0) return resources;
  const all = new Set([...namespaces, settings?.discoveryNamespace || "gloo-system"]);
  return resources.filter(({ ref }) => all.has(ref.namespace));
}
