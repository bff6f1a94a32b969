// Upstreams of the type `kube`: a Service of Kubernetes; its addresses come from Endpoints or EndpointSlices, so that Envoy
// balances over pods and not over connections to a virtual IP. Reads the objects from the World; who watches them is not its business.
import { edsCluster } from "../../envoy/edsCluster.ts";
import { defineUpstreamType, type TypeContext, type TypedUpstream } from "../../plugin/upstream-type.ts";
import { endpointsOfService } from "./endpoints.ts";
import { object, serviceOf, servicePort, servicePorts, text } from "./service.ts";

export const kube = defineUpstreamType({
  kind: "kube",
  cluster(upstream, context) {
    return serviceExists(upstream, context) ? edsCluster(upstream.name) : undefined;
  },
  assignment: endpointsOfService,
});

function serviceExists({ ref, spec }: TypedUpstream<"kube">, { world, report }: TypeContext): boolean {
  const service = serviceOf(spec, world);
  const who = `Upstream name:"${ref.name}" namespace:"${ref.namespace}" references the service '${spec.serviceName}'`;
  if (!service) {
    if (isUnwatched(spec.serviceNamespace, world.settings)) {
      report.error("KubeServiceNotFound", `${who} which has an invalid ServiceNamespace '${spec.serviceNamespace}'.`, {
        path: "kube.serviceNamespace",
        hint: "the namespace is not among watchNamespaces of Settings",
      });
      return false;
    }
    report.error("KubeServiceNotFound", `${who} which does not exist in namespace '${spec.serviceNamespace}'`, {
      path: "kube.serviceName",
    });
    return false;
  }
  const name = `service ${spec.serviceName} in namespace ${spec.serviceNamespace}`;
  const { type, externalName } = object(service.spec?.spec) ?? {};
  if (type === "ExternalName") {
    report.warn("KubeExternalName", `${name} is an ExternalName, so there are no endpoints`, {
      path: "kube.serviceName",
      hint: `write an Upstream with static: {hosts: [{addr: ${text(externalName)}, port: ${spec.servicePort}}]}`,
    });
  } else if (!servicePort(spec, service)) {
    const ports = servicePorts(service).map(({ name, port }) => (name === "" ? `${port}` : `${port} (${name})`));
    report.warn("KubePortNotFound", `${name} has no port ${spec.servicePort}, so there are no endpoints`, {
      path: "kube.servicePort",
      ...(ports.length > 0 && { hint: `it has ${ports.join(", ")}` }),
    });
  }
  return true;
}

function isUnwatched(namespace: string, { watchNamespaces, discoveryNamespace }: TypeContext["world"]["settings"]): boolean {
  if (watchNamespaces.length === 0 || watchNamespaces.includes("*")) return false;
  return !watchNamespaces.includes(namespace) && namespace !== (discoveryNamespace || "gloo-system");
}
