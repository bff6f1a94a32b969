// What is wrong with `failover`, and what of it a stock Envoy cannot do.
import { Cluster_DiscoveryType as Discovery } from "../../gen/envoy/envoy/config/cluster/v3/cluster_pb.js";
import type { Failover, LbEndpoint, LocalityLbEndpoints } from "../../gen/gloo/gloo/projects/gloo/api/v1/failover_pb.js";
import type { Upstream } from "../../gen/gloo/gloo/projects/gloo/api/v1/upstream_pb.js";
import { isIpAddress } from "../../lib/ip.ts";
import type { Report } from "../../model/problem.ts";
import type { ClusterDraft } from "../../plugin/upstream-type.ts";
import { canBeDialled, canResolve, endpointPath, placesOf, socketMatchKey, socketName } from "./endpoints.ts";

const maxWeight = 4_294_967_295;
const maxPriority = 128;

export function judgeFailover(upstream: Upstream, cluster: ClusterDraft, report: Report): void {
  const { failover, healthChecks, outlierDetection } = upstream;
  if (!failover) return;
  if (failover.policy?.overprovisioningFactor === 0) {
    report.error("FailoverInvalid", "an overprovisioning factor of 0 means nothing to Envoy", {
      path: "failover.policy.overprovisioningFactor",
      hint: "100 moves requests as soon as one endpoint fails; 140, the default, when less than 71 % are healthy",
    });
  }
  const highest = placesOf(failover).at(-1)?.priority ?? 0;
  if (highest === 0) report.warn("FailoverIneffective", "failover names no endpoint, so there is nowhere to go", { path: "failover" });
  if (highest > maxPriority) {
    report.error("FailoverInvalid", `Envoy knows ${maxPriority} priorities after the first; these are ${highest}`, {
      path: "failover.prioritizedLocalities",
    });
  }
  if (healthChecks.length === 0 && !outlierDetection) {
    report.warn("FailoverIneffective", "nothing tells Envoy that an endpoint is down, so failover will hardly ever act", {
      path: "failover",
      hint: "add healthChecks or outlierDetection; without them it acts only where no endpoint is left at all",
    });
  }
  judgeCluster(failover, upstream, cluster, report);
  judgeEndpoints(failover, report);
  judgeWeights(failover, upstream, report);
}

function judgeCluster(failover: Failover, { httpProxyHostname }: Upstream, cluster: ClusterDraft, report: Report): void {
  const discovery = cluster.clusterDiscoveryType;
  if (discovery?.case !== "type") {
    report.warn("FailoverUnsupported", "the type of this Upstream makes a cluster that takes no further endpoints", { path: "failover" });
  } else if (discovery.value !== Discovery.EDS && !canResolve(cluster)) {
    for (const { endpoint, path } of placesOf(failover).flatMap(({ members }) => members)) {
      if (isIpAddress(endpoint.address)) continue;
      report.warn("FailoverUnsupported", `beside a Unix socket Envoy looks up no name, so ${endpoint.address} is left out`, {
        path: `${path}.address`,
        hint: "give its IP address",
      });
    }
  }
  if (httpProxyHostname !== undefined && httpProxyHostname !== "") {
    for (const { endpoint, path } of placesOf(failover).flatMap(({ members }) => members)) {
      if (!endpoint.upstreamSslConfig) continue;
      report.warn("FailoverUnsupported", "the endpoints are HTTP proxies, which are all spoken to alike: httpConnectSslConfig counts", {
        path: `${path}.upstreamSslConfig`,
      });
    }
  }
}

function judgeEndpoints({ prioritizedLocalities }: Failover, report: Report): void {
  const seen = new Set<string>();
  prioritizedLocalities.forEach(({ localityEndpoints }, i) => {
    localityEndpoints.forEach(({ lbEndpoints }, j) => {
      lbEndpoints.forEach((endpoint, k) => {
        const path = endpointPath(i, j, k);
        judgeEndpoint(endpoint, path, report);
        if (!canBeDialled(endpoint)) return;
        const name = socketName(endpoint);
        if (seen.has(name)) {
          report.warn("FailoverUnsupported", `${endpoint.address}:${endpoint.port} is named before; Envoy knows each address once`, {
            path,
          });
        }
        seen.add(name);
      });
    });
  });
}

function judgeEndpoint(endpoint: LbEndpoint, path: string, report: Report): void {
  const { address, port, healthCheckConfig, loadBalancingWeight, metadata } = endpoint;
  const checkPort = healthCheckConfig?.portValue ?? 0;
  for (const [field, value] of [
    ["port", port],
    ["healthCheckConfig.portValue", checkPort],
  ] as const) {
    if (value > 65_535) report.error("PortOutOfRange", `${value} is not a port; ports end at 65535`, { path: `${path}.${field}` });
  }
  if (port === 0) report.error("FailoverInvalid", `the endpoint ${address} has no port`, { path: `${path}.port` });
  if (loadBalancingWeight === 0) {
    report.error("FailoverInvalid", "weights begin at 1", { path: `${path}.loadBalancingWeight`, hint: "leave the endpoint out instead" });
  }
  if (!canBeDialled({ ...endpoint, port: 1, loadBalancingWeight: undefined })) {
    const what = address === "" ? "the endpoint has no address" : `"${address}" is neither an IP address nor a host name`;
    report.error("FailoverInvalid", what, { path: `${path}.address`, hint: "no scheme and no path; the port has a field of its own" });
  }
  for (const field of ["path", "method"] as const) {
    if (!healthCheckConfig?.[field]) continue;
    report.warn(
      "HostHealthCheckUnsupported",
      `Envoy asks all endpoints of a cluster alike; the ${field} of healthChecks is used here, too`,
      {
        path: `${path}.healthCheckConfig.${field}`,
      },
    );
  }
  if (socketMatchKey in metadata) {
    report.warn("ReservedMetadata", `metadata "${socketMatchKey}" is set by the gateway itself; what is written here is left out`, {
      path: `${path}.metadata`,
    });
  }
}

function judgeWeights({ prioritizedLocalities }: Failover, upstream: Upstream, report: Report): void {
  const isWeighted = upstream.loadBalancerConfig?.localityConfig.case === "localityWeightedLbConfig";
  prioritizedLocalities.forEach(({ localityEndpoints }, i) => {
    const path = `failover.prioritizedLocalities[${i}].localityEndpoints`;
    checkSum(localityEndpoints, path, report);
    localityEndpoints.forEach(({ lbEndpoints, loadBalancingWeight }, j) => {
      checkSum(lbEndpoints, `${path}[${j}].lbEndpoints`, report);
      if (loadBalancingWeight === 0) report.error("FailoverInvalid", "weights begin at 1", { path: `${path}[${j}].loadBalancingWeight` });
    });
    const differ = new Set(localityEndpoints.map(({ loadBalancingWeight }) => loadBalancingWeight ?? 1)).size > 1;
    if (differ && !isWeighted) {
      report.warn(
        "FailoverIneffective",
        "the weights of localities have no effect: localities are weighed only when the Upstream says so",
        {
          path: `${path}[0].loadBalancingWeight`,
          hint: "add loadBalancerConfig: {localityWeightedLbConfig: {}}",
        },
      );
    }
  });
}

function checkSum(all: readonly Pick<LocalityLbEndpoints | LbEndpoint, "loadBalancingWeight">[], path: string, report: Report): void {
  const sum = all.reduce((total, { loadBalancingWeight }) => total + (loadBalancingWeight ?? 1), 0);
  if (sum > maxWeight) report.error("WeightsTooLarge", `the weights together are ${sum}; Envoy takes at most ${maxWeight}`, { path });
}
