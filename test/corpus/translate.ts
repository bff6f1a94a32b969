// A case as `headworks translate -o json` would print it, in this process.
import type { JsonObject } from "@bufbuild/protobuf";
import { envoyJson } from "../../src/admin/envoy-json.ts";
import { builtins } from "../../src/builtins.ts";
import { worldOf } from "../../src/lib/testing/world.ts";
import { type EnvoyResource, type TypeUrl, typeUrls } from "../../src/model/envoy-resource.ts";
import type { Resource } from "../../src/model/resource.ts";
import { readText } from "../../src/sources/read-text.ts";
import { assemble } from "./assemble.ts";
import type { Case } from "./cases.ts";
import type { Output } from "./compare.ts";

export function translateCase({ input, settings }: Pick<Case, "input" | "settings">, proxyName = "gateway-proxy"): Output {
  const resources = [...readText(JSON.stringify(settings), "settings.json").resources, ...readText(input, "input.yaml").resources];
  const world = worldOf(watched(resources));
  const { statuses, proxies } = assemble(world, builtins);
  const served = proxies.get(proxyName) ?? [...proxies.values()][0] ?? [];
  const json = (typeUrl: TypeUrl): JsonObject[] => served.filter((each: EnvoyResource) => each.typeUrl === typeUrl).map(envoyJson);
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
