// An authorization server that speaks gRPC: envoy.service.auth.v3.Authorization.

import { create, type JsonObject } from "@bufbuild/protobuf";
import { timestampFromMs } from "@bufbuild/protobuf/wkt";
import type { Metadata } from "../../gen/envoy/envoy/config/core/v3/base_pb.js";
import type { GrpcService } from "../../gen/envoy/envoy/config/core/v3/grpc_service_pb.js";
import {
  type CheckRequest,
  CheckRequestSchema,
  type CheckResponse,
  CheckResponseSchema,
} from "../../gen/envoy/envoy/service/auth/v3/external_auth_pb.js";
import type { Findings } from "../compile/findings.ts";
import { compileGrpcService } from "../compile/services.ts";
import type { Exchange } from "../exchange/exchange.ts";
import type { Headers } from "../http1/headers.ts";
import { wireText } from "../text.ts";
import { askGrpc } from "../upstream/ask-grpc.ts";
import { type Authorization, type Authorizer, changeHeaders, changeOf, sanitized } from "./authorization.ts";
import type { NameTest } from "./extAuthzHttp.ts";

const method = { path: "/envoy.service.auth.v3.Authorization/Check", request: CheckRequestSchema, response: CheckResponseSchema };

export interface GrpcCheckSettings {
  /** Undefined: all headers are sent. */
  readonly allowed: NameTest | undefined;
  readonly disallowed: NameTest | undefined;
  readonly packAsBytes: boolean;
  readonly metadataNamespaces: readonly string[];
  readonly routeMetadataNamespaces: readonly string[];
  readonly tellsTls: boolean;
}

export function compileGrpcAuthorizer(service: GrpcService, settings: GrpcCheckSettings, findings: Findings): Authorizer | undefined {
  const target = compileGrpcService(service, findings);
  return (
    target && {
      cluster: target.cluster,
      check: (exchange, contextExtensions, body, onAnswer) =>
        askGrpc(
          exchange.tables.cluster(target.cluster),
          target,
          method,
          checkRequest(settings, exchange, contextExtensions, body),
          (answer) => onAnswer(answer === undefined ? { kind: "error" } : judge(answer)),
        ),
    }
  );
}

let nextId = 0n;

function checkRequest(
  settings: GrpcCheckSettings,
  exchange: Exchange,
  contextExtensions: Readonly<Record<string, string>>,
  body: Buffer | undefined,
): CheckRequest {
  const { remoteAddress, remotePort, localAddress, localPort, tls } = exchange;
  const text = body !== undefined && !settings.packAsBytes;
  return create(CheckRequestSchema, {
    attributes: {
      source: {
        address: address(remoteAddress, remotePort),
        ...(tls && { principal: tls.peerNames.uris[0] ?? tls.peerNames.dnsNames[0] ?? tls.peerSubject }),
      },
      destination: { address: address(localAddress, localPort) },
      request: {
        time: timestampFromMs(exchange.startedAt),
        http: {
          id: String(nextId++),
          method: exchange.method,
          headers: headersOf(settings, exchange),
          path: sanitized(exchange.path),
          host: sanitized(exchange.authority),
          scheme: exchange.scheme,
          protocol: exchange.protocol,
          size: BigInt(exchange.bytesReceived),
          ...(text && { body: sanitized(body.toString("latin1")) }),
          ...(body !== undefined && settings.packAsBytes && { rawBody: body }),
        },
      },
      contextExtensions: { ...contextExtensions },
      metadataContext: picked(exchange.dynamicMetadata, settings.metadataNamespaces),
      routeMetadataContext: picked(exchange.routeMetadata, settings.routeMetadataNamespaces),
      ...(settings.tellsTls && exchange.client.isTls && { tlsSession: { sni: exchange.serverName } }),
    },
  } as never);
}

function address(host: string, port: number) {
  return {
    address: { case: "socketAddress" as const, value: { address: host, portSpecifier: { case: "portValue" as const, value: port } } },
  };
}

function headersOf({ allowed, disallowed }: GrpcCheckSettings, exchange: Exchange): Record<string, string> {
  // Without a prototype: `__proto__` is a name that a header may have.
  const all: Record<string, string> = Object.create(null);
  const add = (name: string, value: string) => {
    if ((allowed !== undefined && !allowed(name)) || disallowed?.(name)) return;
    all[name] = name in all ? `${all[name]},${value}` : value;
  };
  add(":authority", sanitized(exchange.authority));
  add(":path", sanitized(exchange.path));
  add(":method", exchange.method);
  add(":scheme", exchange.scheme);
  for (let i = 0; i < exchange.headers.length; i += 2) add(exchange.headers[i] as string, sanitized(exchange.headers[i + 1] as string));
  if (exchange.contentLength >= 0) add("content-length", String(exchange.contentLength));
  return all;
}

function picked(metadata: Exchange["routeMetadata"], namespaces: readonly string[]): Pick<Metadata, "filterMetadata"> {
  const filterMetadata: Record<string, JsonObject> = {};
  for (const name of namespaces) {
    const found = metadata?.[name];
    if (found !== undefined) filterMetadata[name] = found as JsonObject;
  }
  return { filterMetadata };
}

const forbidden = 403;

function judge({ status, httpResponse, dynamicMetadata }: CheckResponse): Authorization {
  const metadata = dynamicMetadata as Record<string, never> | undefined;
  if ((status?.code ?? 0) === 0) {
    const ok = httpResponse.case === "okResponse" ? httpResponse.value : undefined;
    return {
      kind: "allowed",
      request: (ok?.headers ?? []).flatMap((each) => changeOf(each, false)),
      remove: ok?.headersToRemove ?? [],
      response: (ok?.responseHeadersToAdd ?? []).flatMap((each) => changeOf(each, true)),
      setQuery: (ok?.queryParametersToSet ?? []).map(({ key, value }) => [key, value] as const),
      removeQuery: ok?.queryParametersToRemove ?? [],
      metadata: metadata ?? (ok?.dynamicMetadata as Record<string, never> | undefined),
    };
  }
  const denied = httpResponse.case === "deniedResponse" ? httpResponse.value : undefined;
  const headers: Headers = [];
  changeHeaders(
    headers,
    // Envoy leaves out what is to be appended: of a refusal there is nothing yet.
    (denied?.headers ?? [])
      .flatMap((each) => changeOf(each, false))
      .filter(({ name, how }) => how === "set" && name !== "host")
      .map((change) => ({ ...change, how: "add" as const })),
  );
  return { kind: "denied", status: denied?.status?.code || forbidden, headers, body: wireText(denied?.body ?? ""), metadata };
}
