// A Gateway in parts: all of a plain one, or one for each gateway that a hybrid Gateway matches.
import type { Matcher, TcpGateway } from "../gen/gloo/gloo/projects/gateway/api/v1/gateway_pb.js";
import type { HttpGateway } from "../gen/gloo/gloo/projects/gateway/api/v1/http_gateway_pb.js";
import type { Problem } from "./problem.ts";
import type { ResourceKey } from "./ref.ts";

interface Part {
  /** Of a hybrid Gateway: which connections come here. */
  readonly matcher?: Matcher;
  /** Where it is written in the Gateway: `httpGateway`; where another resource has it, as {@link pathElsewhere} says it. */
  readonly path: string;
}

export interface HttpPart extends Part {
  readonly kind: "http";
  readonly http: HttpGateway;
  /** Serves the VirtualServices with `sslConfig`; otherwise those without. */
  readonly takesTls: boolean;
}

export interface TcpPart extends Part {
  readonly kind: "tcp";
  readonly tcp: TcpGateway;
}

export type GatewayPart = HttpPart | TcpPart;

/** The path of a part that a hybrid Gateway delegates to: what is found there is said of the resource that has it. */
export function pathElsewhere(resource: ResourceKey, path: string): string {
  return `${resource}${separator}${path}`;
}

const separator = ": ";

/** A finding about a Gateway, or about what it delegates to: said of whoever has the text, and repeated on the Gateway. */
export function placed(found: Problem): readonly Problem[] {
  const at = found.path?.indexOf(separator) ?? -1;
  if (at < 0 || found.path === undefined) return [found];
  const resource = found.path.slice(0, at) as ResourceKey;
  const field = resource.startsWith("MatchableHttpGateway ") ? "delegatedHttpGateways" : "delegatedTcpGateways";
  const { statusText: _, ...own } = found;
  return [
    { ...own, resource, path: found.path.slice(at + separator.length) },
    { ...found, path: `hybridGateway.${field}`, repeats: resource },
  ];
}
