// MatchableHttpGateways and MatchableTcpGateways that a hybrid Gateway delegates to.
import { create } from "@bufbuild/protobuf";
import { type DelegatedHttpGateway, type DelegatedTcpGateway, MatcherSchema } from "../gen/gloo/gloo/projects/gateway/api/v1/gateway_pb.js";
import { type HttpGateway, HttpGatewaySchema } from "../gen/gloo/gloo/projects/gateway/api/v1/http_gateway_pb.js";
import { SelectorSchema } from "../gen/gloo/gloo/projects/gloo/api/v1/core/selectors/selectors_pb.js";
import { type HttpListenerOptions, HttpListenerOptionsSchema } from "../gen/gloo/gloo/projects/gloo/api/v1/http_listener_options_pb.js";
import { HttpConnectionManagerSettingsSchema } from "../gen/gloo/gloo/projects/gloo/api/v1/options/hcm/hcm_pb.js";
import { type SslConfig, SslConfigSchema } from "../gen/gloo/gloo/projects/gloo/api/v1/ssl/ssl_pb.js";
import { type GatewayPart, pathElsewhere } from "../model/gateway-part.ts";
import type { Report } from "../model/problem.ts";
import type { Resource } from "../model/resource.ts";
import type { World } from "../plugin/world.ts";
import { expressionFault, matchesExpressions, matchesLabels } from "./label-selector.ts";
import { mergedDeeply } from "./merged-deeply.ts";

type Delegated = Pick<DelegatedHttpGateway, "selectionType">;

export function delegatedHttpParts(delegated: DelegatedHttpGateway, world: World, report: Report): GatewayPart[] {
  return chosen("MatchableHttpGateway", delegated, world, report, "hybridGateway.delegatedHttpGateways").flatMap(({ key, spec }) => {
    // With TLS only those with TLS are meant, without it only those without.
    if (spec?.httpGateway === undefined || (spec.matcher?.sslConfig !== undefined) !== (delegated.sslConfig !== undefined)) return [];
    const sslConfig = ssl(spec.matcher?.sslConfig, delegated);
    const matcher = create(MatcherSchema, {
      ...(sslConfig && { sslConfig }),
      sourcePrefixRanges: spec.matcher?.sourcePrefixRanges ?? [],
    });
    const part = { matcher, path: pathElsewhere(key, "httpGateway") };
    return [{ ...part, kind: "http" as const, http: withSettings(spec.httpGateway, delegated), takesTls: sslConfig !== undefined }];
  });
}

export function delegatedTcpParts(delegated: DelegatedTcpGateway, world: World, report: Report): GatewayPart[] {
  return chosen("MatchableTcpGateway", delegated, world, report, "hybridGateway.delegatedTcpGateways").flatMap(({ key, spec }) => {
    if (spec?.tcpGateway === undefined) return [];
    const { sslConfig, sourcePrefixRanges = [] } = spec.matcher ?? {};
    const matcher = create(MatcherSchema, { ...(sslConfig && { sslConfig }), sourcePrefixRanges });
    return [{ kind: "tcp" as const, tcp: spec.tcpGateway, matcher, path: pathElsewhere(key, "tcpGateway") }];
  });
}

/** A child without TLS stays without. */
function ssl(own: SslConfig | undefined, { sslConfig: parent, preventChildOverrides }: DelegatedHttpGateway): SslConfig | undefined {
  return own && mergedDeeply(SslConfigSchema, own, parent, preventChildOverrides);
}

function withSettings(
  gateway: HttpGateway,
  { httpConnectionManagerSettings: parent, preventChildOverrides }: DelegatedHttpGateway,
): HttpGateway {
  if (parent === undefined) return gateway;
  const own = gateway.options?.httpConnectionManagerSettings;
  const settings = mergedDeeply(HttpConnectionManagerSettingsSchema, own, parent, preventChildOverrides);
  const options = create(HttpListenerOptionsSchema, {
    ...(gateway.options as HttpListenerOptions),
    ...(settings && { httpConnectionManagerSettings: settings }),
  });
  return create(HttpGatewaySchema, { ...gateway, options });
}

function chosen<K extends "MatchableHttpGateway" | "MatchableTcpGateway">(
  kind: K,
  { selectionType }: Delegated,
  world: World,
  report: Report,
  path: string,
): readonly Resource<K>[] {
  if (selectionType.case === "ref") {
    const found = world.get(kind, selectionType.value);
    return found ? [found] : [];
  }
  // Who says nothing means all, and so does who names no namespace.
  const { namespaces, labels, expressions } = selectionType.case === undefined ? everything : selectionType.value;
  const fault = expressionFault(expressions);
  if (fault) {
    report.error("GatewaySelectorInvalid", `${fault}: the selector expression is invalid`, { path: `${path}.selector`, costs: "nothing" });
    return [];
  }
  const wanted = namespaces.length === 0 || namespaces.includes("*") ? [undefined] : [...new Set(namespaces)].sort();
  return wanted
    .flatMap((each) => world.list(kind, each, labels))
    .filter((each) => matchesLabels(labels, each.labels) && matchesExpressions(expressions, each.labels));
}

const everything = create(SelectorSchema);
