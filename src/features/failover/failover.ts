// `failover`: endpoints in other places, used when the Upstream's own are not healthy. They become further priorities of the same
// cluster, so everything else that is said about the Upstream (load balancing, limits, health checks) holds for them too; the
// Upstream's own endpoints are and stay priority 0. See docs/decisions/0014-failover.md.
//
// Two features, because they have two places in the list: the endpoints come before what looks at the sort of cluster (`dns`,
// `loadBalancerConfig`), TLS comes after `sslConfig` and before what wraps sockets.
import { Cluster_DnsLookupFamily, Cluster_DiscoveryType as Discovery } from "../../gen/envoy/envoy/config/cluster/v3/cluster_pb.js";
import { isIpAddress } from "../../lib/ip.ts";
import { Report } from "../../model/problem.ts";
import type { Feature, LoadAssignmentDraft, UpstreamFeatureContext } from "../../plugin/feature.ts";
import type { UpstreamOf } from "../../plugin/upstream-type.ts";
import { tlsSocket, type UpstreamTlsContext, upstreamTlsContext } from "../../plugin/upstreamTls.ts";
import { canResolve, type FailoverEndpoint, placesOf, socketName, withFailover } from "./endpoints.ts";
import { judgeFailover } from "./judge.ts";

export const failover: Feature = {
  name: "failover",
  upstream(cluster, { upstream }, { report }) {
    if (!upstream.failover) return cluster;
    judgeFailover(upstream, cluster, report);
    const { clusterDiscoveryType: discovery, loadAssignment } = cluster;
    // Those of EDS travel with the others: the hook below.
    if (discovery?.case !== "type" || !loadAssignment) return cluster;
    const places = placesOf(upstream.failover);
    if (places.length === 0) return cluster;
    const isNamed = places.some(({ members }) => members.some(({ endpoint }) => !isIpAddress(endpoint.address)));
    const dials = discovery.value === Discovery.STATIC && !(isNamed && canResolve(cluster)) ? Discovery.STATIC : Discovery.STRICT_DNS;
    const asWritten = (name: string) => (dials === Discovery.STRICT_DNS ? [name] : undefined);
    return {
      ...cluster,
      // LOGICAL_DNS has room for one address only; STRICT_DNS takes IP addresses as they are.
      clusterDiscoveryType: { case: "type", value: dials },
      ...(dials === Discovery.STRICT_DNS && { dnsLookupFamily: cluster.dnsLookupFamily ?? gloosLookupFamily }),
      loadAssignment: withFailover(loadAssignment as LoadAssignmentDraft, upstream, asWritten),
    };
  },
  endpoints: (assignment, upstream, { addressesOf }) => (upstream.failover ? withFailover(assignment, upstream, addressesOf) : assignment),
};

/** TLS of single endpoints, by transport socket matches. They go first: the first match that fits an address counts. */
export const failoverTls: Feature = {
  name: "failover.upstreamSslConfig",
  upstream(cluster, upstream, context) {
    const { failover } = upstream.upstream;
    if (!failover) return cluster;
    const matches = placesOf(failover).flatMap(({ members }) =>
      members.flatMap((member) => {
        const tls = tlsOf(member, upstream, context);
        const name = socketName(member.endpoint);
        return tls ? [{ name, match: { [name]: true }, transportSocket: tlsSocket(tls) }] : [];
      }),
    );
    return matches.length === 0 ? cluster : { ...cluster, transportSocketMatches: [...matches, ...(cluster.transportSocketMatches ?? [])] };
  },
};

/**
 * Undefined: as the Upstream's own endpoints are spoken to. Under its own name, though, where nobody says which: a certificate is asked
 * for by the name that was dialled.
 */
function tlsOf(
  { endpoint, path }: FailoverEndpoint,
  { upstream }: UpstreamOf<unknown>,
  context: UpstreamFeatureContext,
): UpstreamTlsContext | undefined {
  const { tls } = context;
  const ownName = isIpAddress(endpoint.address) ? "" : endpoint.address;
  const own = endpoint.upstreamSslConfig;
  if (own) {
    const made = upstreamTlsContext(own, `${path}.upstreamSslConfig`, context);
    return made && { ...made, sni: own.sni || ownName };
  }
  const shared = upstream.sslConfig;
  if (ownName === "" || (shared && shared.sni !== "")) return undefined;
  if (!shared) return tls?.isOn ? { commonTlsContext: {}, sni: ownName } : undefined;
  // What is wrong with it, sslConfig has said already.
  const made = upstreamTlsContext(shared, "sslConfig", { ...context, report: new Report(undefined) });
  return made && { ...made, sni: ownName };
}

/** As Gloo asks for the names of static hosts. */
const gloosLookupFamily = Cluster_DnsLookupFamily.V4_ONLY;
