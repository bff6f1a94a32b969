// What Envoy would refuse in a cluster, said of the Upstream that it was made from.
import type { Violation } from "../envoy/constraints.ts";
import type { Report } from "../model/problem.ts";

/** Where a field of a cluster comes from. The first pattern that fits counts; `$1` is an index. */
const origins: readonly (readonly [inCluster: RegExp, inUpstream: string])[] = [
  [/^connectTimeout/, "connectionConfig.connectTimeout"],
  [/^maxRequestsPerConnection/, "connectionConfig.maxRequestsPerConnection"],
  [/^perConnectionBufferLimitBytes/, "connectionConfig.perConnectionBufferLimitBytes"],
  [/^upstreamConnectionOptions\.tcpKeepalive/, "connectionConfig.tcpKeepalive"],
  [/^commonHttpProtocolOptions/, "connectionConfig.commonHttpProtocolOptions"],
  [/^httpProtocolOptions/, "connectionConfig.http1ProtocolOptions"],
  [/^commonLbConfig\.healthyPanicThreshold\.value/, "loadBalancerConfig.healthyPanicThreshold"],
  [/^commonLbConfig/, "loadBalancerConfig"],
  [/^(?:roundRobin|leastRequest)LbConfig\.slowStartConfig/, "loadBalancerConfig"],
  [/^leastRequestLbConfig\.choiceCount/, "loadBalancerConfig.leastRequest.choiceCount"],
  [/^ringHashLbConfig/, "loadBalancerConfig.ringHash.ringHashConfig"],
  [/^lbSubsetConfig/, "subsetSpec"],
  [/^(healthChecks\[\d+\].*)/, "$1"],
  [/^(outlierDetection.*)/, "$1"],
  [/^circuitBreakers\.thresholds\[\d+\](.*)/, "circuitBreakers$1"],
  [/^(preconnectPolicy.*)/, "$1"],
  [/^(dnsRefreshRate)/, "$1"],
  [/^loadAssignment\.endpoints\[0\]\.lbEndpoints\[(\d+)\]\.loadBalancingWeight/, "static.hosts[$1].loadBalancingWeight"],
  [/^loadAssignment\.endpoints\[0\]\.lbEndpoints\[(\d+)\]\.endpoint\.address\.socketAddress\.portValue/, "static.hosts[$1].port"],
  [/^loadAssignment\.endpoints\[0\]\.lbEndpoints\[(\d+)\]\.endpoint\.address\.socketAddress\.address/, "static.hosts[$1].addr"],
  [/^loadAssignment\.endpoints\[0\]\.lbEndpoints\[(\d+)\]/, "static.hosts[$1]"],
  [/^transportSocket(?:Matches\[\d+\]\.transportSocket)?\.typedConfig\.sni/, "sslConfig.sni"],
  [/^transportSocket/, "sslConfig"],
];

/** Reports violations, each place once; `kind` is the type of the Upstream. */
export function reportViolations(violations: readonly Violation[], kind: string, report: Report): void {
  const seen = new Set<string>();
  for (const { path, message } of violations) {
    const origin = originOf(path, kind);
    const text = `${origin ?? path}: ${message.replace(/^value\b/, "the value")}; Envoy would refuse it`;
    if (seen.has(text)) continue;
    seen.add(text);
    report.error("EnvoyConstraint", text, origin === undefined ? {} : { path: origin });
  }
}

function originOf(path: string, kind: string): string | undefined {
  for (const [inCluster, inUpstream] of origins) {
    const match = inCluster.exec(path);
    if (!match) continue;
    const origin = inUpstream.replace(/\$1/g, match[1] ?? "");
    if (!origin.startsWith("static.") || kind === "static") return origin === "subsetSpec" ? `${kind}.${origin}` : origin;
  }
  return undefined;
}
