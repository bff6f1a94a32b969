// Which Gateways there are, which proxies they feed, and what in them takes VirtualServices.
import { create } from "@bufbuild/protobuf";
import { type Gateway, GatewaySchema, MatcherSchema } from "../gen/gloo/gloo/projects/gateway/api/v1/gateway_pb.js";
import { HttpGatewaySchema } from "../gen/gloo/gloo/projects/gateway/api/v1/http_gateway_pb.js";
import type { GatewayPart } from "../model/gateway-part.ts";
import { Report } from "../model/problem.ts";
import { type Ref, resourceKey } from "../model/ref.ts";
import type { Resource, Spec } from "../model/resource.ts";
import type { World } from "../plugin/world.ts";
import { delegatedHttpParts, delegatedTcpParts } from "./delegated-gateways.ts";

/** Gloo's: used where a Gateway names none. */
export const defaultProxyName = "gateway-proxy";

/** The namespace in which Gateways are read and to which proxies belong. */
export function controlNamespace(settings: Spec<"Settings">): string {
  return settings.discoveryNamespace || "gloo-system";
}

/** The proxies that a Gateway feeds, each once. */
export function proxiesOf(gateway: Gateway): readonly string[] {
  return gateway.proxyNames.length === 0 ? [defaultProxyName] : [...new Set(gateway.proxyNames)];
}

/** Gateways elsewhere are not read: someone who may write in one namespace shall not open ports. */
export function isRead(gateway: Ref, settings: Spec<"Settings">): boolean {
  return settings.gateway?.readGatewaysFromAllNamespaces === true || gateway.namespace === controlNamespace(settings);
}

/** What is served when there is no Gateway at all: `[::]:8080`, every VirtualService without TLS. */
export function defaultGateway(settings: Spec<"Settings">): Resource<"Gateway"> {
  const ref = { namespace: controlNamespace(settings), name: "gateway-proxy" };
  return {
    kind: "Gateway",
    key: resourceKey("Gateway", ref),
    ref,
    labels: {},
    annotations: {},
    spec: create(GatewaySchema, {
      bindAddress: "::",
      bindPort: 8080,
      proxyNames: [defaultProxyName],
      GatewayType: { case: "httpGateway", value: create(HttpGatewaySchema) },
    }),
    version: "default",
    problems: [],
    origin: { source: "default" },
  };
}

/** The parts of a Gateway, in its order; of a hybrid one also those it delegates to, which are read from the world. */
export function partsOf(gateway: Resource<"Gateway">, world: World): { readonly parts: readonly GatewayPart[]; readonly report: Report } {
  const report = new Report(gateway.key);
  const spec = gateway.spec;
  const type = spec?.GatewayType;
  switch (type?.case) {
    case "httpGateway":
      return { parts: [{ kind: "http", http: type.value, takesTls: spec?.ssl === true, path: "httpGateway" }], report };
    case "tcpGateway":
      return { parts: [{ kind: "tcp", tcp: type.value, path: "tcpGateway" }], report };
    case "hybridGateway": {
      const parts = type.value.matchedGateways.flatMap((matched, i): GatewayPart[] => {
        const path = `hybridGateway.matchedGateways[${i}]`;
        const matcher = matched.matcher ?? create(MatcherSchema);
        switch (matched.GatewayType.case) {
          case "httpGateway":
            return [
              {
                kind: "http",
                http: matched.GatewayType.value,
                takesTls: matcher.sslConfig !== undefined,
                matcher,
                path: `${path}.httpGateway`,
              },
            ];
          case "tcpGateway":
            return [{ kind: "tcp", tcp: matched.GatewayType.value, matcher, path: `${path}.tcpGateway` }];
          default:
            report.error("GatewayTypeMissing", "invalid gateway: matched gateway must contain gatewayType", { path });
            return [];
        }
      });
      const { delegatedHttpGateways, delegatedTcpGateways, matchedGateways } = type.value;
      if (matchedGateways.length > 0) {
        for (const [field, written] of Object.entries({ delegatedHttpGateways, delegatedTcpGateways }))
          if (written)
            report.warn("OptionNotSupported", `${field} has no effect beside matchedGateways`, {
              path: `hybridGateway.${field}`,
              hint: "list all in matchedGateways, or delegate to all",
            });
        return { parts, report };
      }
      const delegated = [
        ...(delegatedHttpGateways ? delegatedHttpParts(delegatedHttpGateways, world, report) : []),
        ...(delegatedTcpGateways ? delegatedTcpParts(delegatedTcpGateways, world, report) : []),
      ];
      if (delegated.length === 0 && (delegatedHttpGateways || delegatedTcpGateways))
        report.warn("HybridEmpty", "hybrid gateway does not have any populated matched gateways", { path: "hybridGateway" });
      return { parts: [...parts, ...delegated], report };
    }
    default:
      if (spec !== undefined)
        report.error("GatewayTypeMissing", "invalid gateway: gateway must contain gatewayType", {
          costs: "listener",
          hint: "httpGateway: {} serves every VirtualService",
        });
      return { parts: [], report };
  }
}
