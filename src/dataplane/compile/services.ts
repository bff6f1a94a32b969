// Services that filters ask: which cluster, and how long to wait.

import type { GrpcService } from "../../gen/envoy/envoy/config/core/v3/grpc_service_pb.js";
import { breaksLines, wireText } from "../text.ts";
import type { GrpcTarget } from "../upstream/ask-grpc.ts";
import { timeoutMs } from "./durations.ts";
import type { Findings } from "./findings.ts";

/** Undefined for a service that is none of our clusters; it is a finding. */
export function compileGrpcService(service: GrpcService | undefined, findings: Findings): GrpcTarget | undefined {
  const target = service?.targetSpecifier;
  if (target?.case !== "envoyGrpc") {
    findings.notExecuted(target?.case === "googleGrpc" ? "google_grpc" : "target_specifier", "; nobody is asked");
    return undefined;
  }
  if (service?.retryPolicy !== undefined) findings.notExecuted("retry_policy");
  const metadata: string[] = [];
  for (const { key, value } of service?.initialMetadata ?? []) {
    if (breaksLines(key) || breaksLines(value)) findings.refused("initial_metadata", "a control character");
    else metadata.push(key.toLowerCase(), wireText(value));
  }
  return {
    cluster: target.value.clusterName,
    authority: wireText(target.value.authority),
    metadata,
    timeoutMs: timeoutMs(service?.timeout, Number.POSITIVE_INFINITY),
  };
}
