// For aws-credentials.test.ts: an Upstream that lays Envoy's own way to AWS STS to another place. Envoy makes itself a cluster of this name
// when it first needs a role, and takes an update of it like that of any other cluster.
import { envoyResource } from "../../src/envoy/encode.ts";
import { ClusterSchema } from "../../src/gen/envoy/envoy/config/cluster/v3/cluster_pb.js";
import { Cluster_DiscoveryType, type ClusterDraft, defineConfig, defineUpstreamType, socketAddress } from "../../src/index.ts";

interface TokenService {
  readonly region: string;
  readonly port: number;
}

function clusterTo(name: string, port: number): ClusterDraft {
  const endpoint = { hostIdentifier: { case: "endpoint" as const, value: { address: socketAddress("127.0.0.1", port) } } };
  return {
    name,
    connectTimeout: { seconds: 5n },
    clusterDiscoveryType: { case: "type", value: Cluster_DiscoveryType.STATIC },
    loadAssignment: { clusterName: name, endpoints: [{ lbEndpoints: [endpoint] }] },
  };
}

const tokenService = defineUpstreamType<TokenService>({
  kind: "tokenService",
  parse: ({ region, port }) => ({ region: String(region), port: Number(port) }),
  cluster: ({ name, spec }) => clusterTo(name, spec.port),
  extras({ key, spec }) {
    const name = `sts_token_service_internal-${spec.region}`;
    return [envoyResource(ClusterSchema, name, clusterTo(name, spec.port), [key])];
  },
});

export default defineConfig({ upstreamTypes: [tokenService] });
