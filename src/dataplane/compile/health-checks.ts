// Active health checks: what is asked of each host, how often, and what makes it well or not.

import { toBinary } from "@bufbuild/protobuf";
import type { Cluster } from "../../gen/envoy/envoy/config/cluster/v3/cluster_pb.js";
import { RequestMethod } from "../../gen/envoy/envoy/config/core/v3/base_pb.js";
import { type HealthCheck, type HealthCheck_Payload, HealthCheckSchema } from "../../gen/envoy/envoy/config/core/v3/health_check_pb.js";
import { CodecClientType } from "../../gen/envoy/envoy/type/v3/http_pb.js";
import type { Headers } from "../http1/headers.ts";
import { breaksLines, wireText } from "../text.ts";
import { durationMs } from "./durations.ts";
import type { Findings } from "./findings.ts";
import { compileStringMatcher } from "./strings.ts";

export interface CompiledHealthCheck {
  /** The bytes that it was made of. */
  readonly source: Buffer;
  readonly timeoutMs: number;
  readonly intervalMs: number;
  /** While the cluster has had no requests. */
  readonly noTrafficMs: number;
  readonly noTrafficHealthyMs: number;
  readonly unhealthyMs: number;
  /** After the check that changed it. */
  readonly unhealthyEdgeMs: number;
  readonly healthyEdgeMs: number;
  readonly initialJitterMs: number;
  readonly jitterMs: number;
  readonly jitterPercent: number;
  readonly unhealthyThreshold: number;
  readonly healthyThreshold: number;
  readonly altPort: number | undefined;
  readonly reusesConnection: boolean;
  readonly checker: Checker;
}

export type Checker =
  | {
      readonly kind: "http";
      readonly protocol: "http1" | "http2";
      readonly method: string;
      /** Empty: the cluster's name. */
      readonly host: string;
      readonly path: string;
      readonly add: Headers;
      readonly remove: readonly string[];
      readonly isExpected: (status: number) => boolean;
      /** Bad, but not yet as bad as a status that nobody expects. */
      readonly isRetriable: (status: number) => boolean;
      readonly isService: ((name: string) => boolean) | undefined;
      readonly receive: readonly Buffer[];
    }
  | { readonly kind: "tcp"; readonly send: Buffer | undefined; readonly receive: readonly Buffer[] }
  | { readonly kind: "grpc"; readonly service: string; readonly authority: string; readonly metadata: Headers };

export function compileHealthChecks(cluster: Cluster, findings: Findings): CompiledHealthCheck[] {
  const compiled: CompiledHealthCheck[] = [];
  cluster.healthChecks.forEach((check, index) => {
    const one = compileHealthCheck(check, findings.at(`health_checks[${index}]`));
    if (one !== undefined) compiled.push(one);
  });
  return compiled;
}

function compileHealthCheck(check: HealthCheck, findings: Findings): CompiledHealthCheck | undefined {
  const checker = compileChecker(check, findings);
  if (checker === undefined) return undefined;
  const intervalMs = Math.max(1, durationMs(check.interval) ?? 1_000);
  const unhealthyMs = durationMs(check.unhealthyInterval) ?? intervalMs;
  const noTrafficMs = durationMs(check.noTrafficInterval) ?? 60_000;
  return {
    source: Buffer.from(toBinary(HealthCheckSchema, check)),
    timeoutMs: Math.max(1, durationMs(check.timeout) ?? 1_000),
    intervalMs,
    noTrafficMs,
    noTrafficHealthyMs: durationMs(check.noTrafficHealthyInterval) ?? noTrafficMs,
    unhealthyMs,
    unhealthyEdgeMs: durationMs(check.unhealthyEdgeInterval) ?? unhealthyMs,
    healthyEdgeMs: durationMs(check.healthyEdgeInterval) ?? intervalMs,
    initialJitterMs: durationMs(check.initialJitter) ?? 0,
    jitterMs: durationMs(check.intervalJitter) ?? 0,
    jitterPercent: check.intervalJitterPercent,
    unhealthyThreshold: check.unhealthyThreshold ?? 1,
    healthyThreshold: check.healthyThreshold ?? 1,
    altPort: check.altPort,
    reusesConnection: check.reuseConnection ?? true,
    checker,
  };
}

function compileChecker({ healthChecker }: HealthCheck, findings: Findings): Checker | undefined {
  switch (healthChecker.case) {
    case "httpHealthCheck":
      return compileHttp(healthChecker.value, findings.at("http_health_check"));
    case "tcpHealthCheck": {
      const { send, receive } = healthChecker.value;
      return { kind: "tcp", send: payloadOf(send), receive: receive.map(payloadOf).filter((each) => each !== undefined) };
    }
    case "grpcHealthCheck": {
      const { serviceName, authority, initialMetadata } = healthChecker.value;
      return { kind: "grpc", service: serviceName, authority, metadata: headersOf(initialMetadata, findings) };
    }
    default:
      findings.notExecuted(
        healthChecker.case === "customHealthCheck" ? "custom_health_check" : "health_checker",
        "; hosts are not checked",
      );
      return undefined;
  }
}

type HttpCheck = Extract<HealthCheck["healthChecker"], { case: "httpHealthCheck" }>["value"];

function compileHttp(check: HttpCheck, findings: Findings): Checker {
  const matcher = check.serviceNameMatcher && compileStringMatcher(check.serviceNameMatcher);
  const isHttp2 = check.codecClientType === CodecClientType.HTTP2;
  if (check.codecClientType === CodecClientType.HTTP3) findings.notExecuted("codec_client_type: HTTP3", "; hosts are asked over HTTP/1.1");
  return {
    kind: "http",
    protocol: isHttp2 ? "http2" : "http1",
    method: RequestMethod[check.method] === "METHOD_UNSPECIFIED" ? "GET" : (RequestMethod[check.method] ?? "GET"),
    host: safe(check.host, "host", findings),
    path: safe(check.path, "path", findings),
    add: headersOf(check.requestHeadersToAdd, findings),
    remove: check.requestHeadersToRemove.map((name) => name.toLowerCase()),
    isExpected: check.expectedStatuses.length === 0 ? (status) => status === 200 : inRanges(check.expectedStatuses),
    isRetriable: inRanges(check.retriableStatuses),
    isService: matcher && ((name) => matcher.test(name)),
    receive: check.receive.map(payloadOf).filter((each) => each !== undefined),
  };
}

function inRanges(ranges: readonly { readonly start: bigint; readonly end: bigint }[]): (status: number) => boolean {
  const plain = ranges.map(({ start, end }) => [Number(start), Number(end)] as const);
  return (status) => plain.some(([start, end]) => status >= start && status < end);
}

function headersOf(
  options: readonly { readonly header?: { readonly key: string; readonly value: string } | undefined }[],
  findings: Findings,
): Headers {
  const headers: Headers = [];
  options.forEach(({ header }, index) => {
    if (header === undefined) return;
    if (header.value.includes("%")) findings.operator(`request_headers_to_add[${index}]`, header.value);
    headers.push(safe(header.key.toLowerCase(), "header", findings), safe(header.value, "header", findings));
  });
  return headers;
}

function safe(text: string, field: string, findings: Findings): string {
  if (!breaksLines(text)) return wireText(text);
  findings.refused(field, "a control character");
  return "";
}

/** Text is hexadecimal here. */
function payloadOf(payload: HealthCheck_Payload | undefined): Buffer | undefined {
  const kind = payload?.payload;
  if (kind?.case === "text") return Buffer.from(kind.value, "hex");
  if (kind?.case === "binary") return Buffer.from(kind.value);
  return undefined;
}
