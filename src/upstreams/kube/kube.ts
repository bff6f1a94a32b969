// Upstreams of the type `kube`: a Service of Kubernetes; its addresses come from Endpoints or EndpointSlices, so that Envoy
// balances over pods and not over connections to a virtual IP. Reads the objects from the World; who watches them is not its business.
import { edsCluster } from "../../envoy/edsCluster.ts";
import { defineUpstreamType, type TypeContext, type TypedUpstream } from "../../plugin/upstream-type.ts";
import { endpointsOfService } from "./endpoints.ts";
import { serviceOf, servicePort, servicePorts } from "./service.ts";

export const kube = defineUpstreamType({
  kind: "kube",
  cluster(upstream, context) {
    return serviceExists(upstream, context) ? edsCluster(upstream.name) : undefined;
  },
  assignment: endpointsOfService,
});

function serviceExists({ ref, spec }: TypedUpstream<"kube">, { world, report }: TypeContext): boolean {
  const service = serviceOf(spec, world);
  if (!service) {
    report.error(
      "KubeServiceNotFound",
      `Upstream name:"${ref.name}" namespace:"${ref.namespace}" references the service '${spec.serviceName}' which does not exist in namespace '${spec.serviceNamespace}'`,
      { path: "kube.serviceName" },
    );
    return false;
  }
  if (!servicePort(spec, service)) {
    const ports = servicePorts(service).map(({ port }) => port);
    report.warn(
      "KubePortNotFound",
      `service ${spec.serviceName} in namespace ${spec.serviceNamespace} has no port ${spec.servicePort}, so there are no endpoints`,
      {
        path: "kube.servicePort",
        ...(ports.length > 0 && { hint: `it has ${ports.join(", ")}` }),
      },
    );
  }
  return true;
}
