// A Gateway in parts: all of a plain one, or one for each gateway that a hybrid Gateway matches.
import type { Matcher, TcpGateway } from "../gen/gloo/gloo/projects/gateway/api/v1/gateway_pb.js";
import type { HttpGateway } from "../gen/gloo/gloo/projects/gateway/api/v1/http_gateway_pb.js";

interface Part {
  /** Of a hybrid Gateway: which connections come here. */
  readonly matcher?: Matcher;
  /** Where it is written in the Gateway: `httpGateway`. */
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
