// The answer to a node whose role names no Proxy: as Gloo does it, a listener that tells whoever calls it what is wrong.
import { fromBinary } from "@bufbuild/protobuf";
import { anyUnpack } from "@bufbuild/protobuf/wkt";
import { envoyResource, packAny } from "../envoy/encode.ts";
import { ListenerSchema } from "../gen/envoy/envoy/config/listener/v3/listener_pb.js";
import { RouterSchema } from "../gen/envoy/envoy/extensions/filters/http/router/v3/router_pb.js";
import { HttpConnectionManagerSchema } from "../gen/envoy/envoy/extensions/filters/network/http_connection_manager/v3/http_connection_manager_pb.js";
import { catalog } from "../model/catalog.ts";
import type { EnvoyResource, ProxyKey } from "../model/envoy-resource.ts";

const name = "fallback-unknown-role";

/** A listener on every address that answers each request with 500 and the reason. */
export function fallbackListener(role: string, known: readonly ProxyKey[], port: number): EnvoyResource {
  const manager = packAny(HttpConnectionManagerSchema, {
    statPrefix: name,
    // A connection that is kept would keep getting this answer while the listener drains, long after the proxy is there.
    commonHttpProtocolOptions: { maxRequestsPerConnection: 1 },
    routeSpecifier: {
      case: "routeConfig",
      value: { name, virtualHosts: [{ name, domains: ["*"], routes: [directResponse(unknownRole(role, known))] }] },
    },
    httpFilters: [{ name: "envoy.filters.http.router", configType: { case: "typedConfig", value: packAny(RouterSchema, {}) } }],
  });
  return envoyResource(
    ListenerSchema,
    name,
    {
      name,
      address: {
        address: { case: "socketAddress", value: { address: "::", ipv4Compat: true, portSpecifier: { case: "portValue", value: port } } },
      },
      filterChains: [
        { filters: [{ name: "envoy.filters.network.http_connection_manager", configType: { case: "typedConfig", value: manager } }] },
      ],
    },
    [],
  );
}

/** What a listener that was received says about the role of whoever received it; undefined for those that serve something. */
export function unknownRoleOf(listener: Pick<EnvoyResource, "name" | "bytes">): string | undefined {
  if (listener.name !== name) return undefined;
  const config = fromBinary(ListenerSchema, listener.bytes).filterChains[0]?.filters[0]?.configType;
  const manager = config?.case === "typedConfig" ? anyUnpack(config.value, HttpConnectionManagerSchema)?.routeSpecifier : undefined;
  const answer = manager?.case === "routeConfig" ? manager.value.virtualHosts[0]?.routes[0]?.action : undefined;
  const body = answer?.case === "directResponse" ? answer.value.body?.specifier : undefined;
  return body?.case === "inlineString" ? body.value.trim() : name;
}

const most = 20;

/** For the body of the answer, and for the status of a refused stream. */
export function unknownRole(role: string, known: readonly ProxyKey[]): string {
  const shown = known.slice(0, most).join(", ");
  const rest = known.length > most ? ` and ${known.length - most} more` : "";
  const choice = known.length === 0 ? "there are no proxies" : `the known ones are: ${shown}${rest}`;
  return `Headworks knows no proxy for node.metadata.role "${role}"; ${choice} (${catalog.UnknownRole.code})`;
}

function directResponse(text: string) {
  return {
    match: { pathSpecifier: { case: "prefix" as const, value: "/" } },
    action: {
      case: "directResponse" as const,
      value: { status: 500, body: { specifier: { case: "inlineString" as const, value: `${text}\n` } } },
    },
  };
}
