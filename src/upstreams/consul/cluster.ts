// The cluster of a Consul service. Pure: whether the service exists is Consul's to say, and shows in the endpoints.
import { edsCluster } from "../../envoy/edsCluster.ts";
import { Cluster_LbSubsetConfig_LbSubsetFallbackPolicy as Fallback } from "../../gen/envoy/envoy/config/cluster/v3/cluster_pb.js";
import { consulSelectors } from "../../plugin/subsets.ts";
import type { ClusterDraft, TypeContext, TypedUpstream } from "../../plugin/upstream-type.ts";

export function consulCluster({ name, spec }: TypedUpstream<"consul">, { world, report }: TypeContext): ClusterDraft | undefined {
  if (world.settings.consul?.serviceDiscovery === undefined) {
    report.error("ConsulNotConfigured", "the Settings do not say that there is a Consul", {
      path: "consul",
      hint: "add `consul: {httpAddress: …, serviceDiscovery: {}}` to the Settings",
      statusText: notConfigured,
    });
    return undefined;
  }
  if (spec.serviceName === "") {
    report.error("ConsulServiceMissing", "no service name provided", {
      path: "consul.serviceName",
      hint: "name a service of Consul's catalog",
    });
    return undefined;
  }
  const allowed = world.settings.consul.serviceDiscovery.dataCenters;
  const strangers = allowed.length === 0 ? [] : spec.dataCenters.filter((each) => !allowed.includes(each));
  if (strangers.length > 0) {
    report.warn("ConsulDataCenterNotAllowed", `the Settings do not allow ${strangers.join(", ")}, so no instance there is used`, {
      path: "consul.dataCenters",
      hint: `allowed are ${allowed.join(", ")} (consul.serviceDiscovery.dataCenters)`,
    });
  }
  return {
    ...edsCluster(name),
    lbSubsetConfig: { fallbackPolicy: Fallback.ANY_ENDPOINT, subsetSelectors: consulSelectors(spec).map((keys) => ({ keys })) },
  };
}

/** What Gloo's status says where there is no Consul. */
const notConfigured =
  "cluster was configured improperly by one or more plugins: cluster type STATIC specified but LoadAssignment was empty";
