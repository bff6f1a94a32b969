// An azure Upstream → Envoy's cluster: the host of the function app, over TLS. Pure.
//
// Envoy's rewrites keep the query of the request, and would put it behind the key. Routes end the path with `#`, and what follows it
// is cut off by a filter of the cluster.
import { packAny } from "../../envoy/encode.ts";
import { hostCluster, httpFilter } from "../../envoy/hostCluster.ts";
import { LuaSchema } from "../../gen/envoy/envoy/extensions/filters/http/lua/v3/lua_pb.js";
import { UpstreamSpec_FunctionSpec_AuthLevel as AuthLevel } from "../../gen/gloo/gloo/projects/gloo/api/v1/options/azure/azure_pb.js";
import type { Report } from "../../model/problem.ts";
import { formatRef } from "../../model/ref.ts";
import type { ClusterDraft, SpecOf, TypeContext, TypedUpstream } from "../../plugin/upstream-type.ts";
import type { World } from "../../plugin/world.ts";

export function azureCluster({ name, spec }: TypedUpstream<"azure">, { world, report }: TypeContext): ClusterDraft | undefined {
  if (!/^[A-Za-z0-9]([A-Za-z0-9-]{0,61}[A-Za-z0-9])?$/.test(spec.functionAppName)) {
    const what =
      spec.functionAppName === "" ? "functionAppName is missing" : `"${spec.functionAppName}" cannot be the name of a function app`;
    report.error("AzureAppMissing", what, { path: "azure.functionAppName", hint: "shop for shop.azurewebsites.net" });
  }
  const keys = keysOf(spec, world, report);
  if (keys !== undefined) {
    for (const [i, each] of spec.functions.entries()) {
      if (keyOf(each, keys) === undefined) report.warn("AzureKeyMissing", noKey(each), { path: `azure.functions[${i}].authLevel` });
    }
  }
  if (report.hasErrors) return undefined;
  const defaultSourceCode = { specifier: { case: "inlineString" as const, value: cutScript } };
  const httpFilters = [httpFilter("headworks.cut_query", packAny(LuaSchema, { defaultSourceCode }))];
  return hostCluster({ name, hostname: azureHost(spec), port: 443, httpFilters });
}

const cutScript = `function envoy_on_request(handle)
  local headers = handle:headers()
  local path = headers:get(":path")
  local at = string.find(path, "#", 1, true)
  if at then headers:replace(":path", string.sub(path, 1, at - 1)) end
end
`;

export function azureHost({ functionAppName }: SpecOf<"azure">): string {
  return `${functionAppName}.azurewebsites.net`;
}

/** The keys of the Secret, none where none is named; undefined after an error. */
export function keysOf({ secretRef }: SpecOf<"azure">, world: World, report: Report): Readonly<Record<string, string>> | undefined {
  if (secretRef === undefined) return {};
  const secret = world.get("Secret", secretRef)?.spec;
  const named = `name:"${secretRef.name}" namespace:"${secretRef.namespace}"`;
  if (secret === undefined) {
    const message = `azure secrets for ref ${named} not found: list did not find secret ${formatRef(secretRef)}`;
    report.error("CloudSecretNotFound", message, { path: "azure.secretRef", elsewhere: true });
    return undefined;
  }
  if (secret.kind.case !== "azure") {
    report.error("CloudSecretOfOtherKind", `secret ${named} is not an Azure secret`, { path: "azure.secretRef", elsewhere: true });
    return undefined;
  }
  return secret.kind.value.apiKeys;
}

type Fn = SpecOf<"azure">["functions"][number];

/** Empty for a function that wants none; undefined where the key is missing. */
export function keyOf(fn: Fn, keys: Readonly<Record<string, string>>): string | undefined {
  return fn.authLevel === AuthLevel.Anonymous
    ? ""
    : keyNames(fn).flatMap((name) => (Object.hasOwn(keys, name) && keys[name] ? [keys[name]] : []))[0];
}

export function noKey(fn: Fn): string {
  return `secret not found for key names [${keyNames(fn).join(" ")}]`;
}

function keyNames({ authLevel, functionName }: Fn): string[] {
  return authLevel === AuthLevel.Admin ? ["_master"] : [functionName, "_master"];
}
