// The pods behind a Service as endpoints: those that the selector takes, with their labels. Pure.
import type { Resource } from "../../model/resource.ts";
import type { Endpoint, TypeContext, TypedUpstream } from "../../plugin/upstream-type.ts";
import type { World } from "../../plugin/world.ts";
import { type Address, addressesOf } from "./addresses.ts";
import { list, object, selectorOf, serviceOf, servicePort, text } from "./service.ts";

export function endpointsOfService(upstream: TypedUpstream<"kube">, { world }: TypeContext): readonly Endpoint[] {
  const { spec } = upstream;
  const service = serviceOf(spec, world);
  const port = service && servicePort(spec, service);
  if (!service || !port) return [];
  const wantsPod = Object.keys(spec.selector).length > 0 || spec.subsetSpec !== undefined;
  const tellsMesh = world.settings.gloo?.istioOptions?.enableAutoMtls === true;
  const found = addressesOf(service, port, world).flatMap((address) => {
    const labels = podLabels(service.ref.namespace, address, wantsPod, world);
    // Watching all pods of a cluster is much work for nothing where the selector is the Service's own, as discovery writes it.
    const fits = labels === undefined && address.isPicked ? matches(spec.selector, selectorOf(service)) : matches(spec.selector, labels);
    return fits ? [{ address, labels }] : [];
  });
  // As kube-proxy does: pods that are shutting down get requests only where there are no others.
  const ready = found.filter(({ address }) => !address.isLeaving);
  return (ready.length > 0 ? ready : found).map(({ address: { ip, port, zone }, labels }) => {
    const isInMesh = tellsMesh && labels?.["security.istio.io/tlsMode"] === "istio";
    return {
      address: ip,
      port,
      ...(labels && { labels }),
      ...(isInMesh && { socketMatch: { tlsMode: "istio" } }),
      ...(zone !== undefined && { locality: { zone } }),
    };
  });
}

function podLabels(
  namespace: string,
  { pod, ip, isPicked }: Address,
  isWorthASearch: boolean,
  world: World,
): Resource["labels"] | undefined {
  const named = pod === "" ? undefined : world.get("Pod", { namespace, name: pod });
  if (named !== undefined || isPicked || !isWorthASearch) return named?.labels;
  return world.list("Pod", namespace, {}, { "status.podIP": ip }).find((each) => hasAddress(each, ip))?.labels;
}

/** A pod that has ended keeps its address in its status, and another may have it by now; those on the network of the node share it. */
function hasAddress({ spec }: Resource<"Pod">, ip: string): boolean {
  const { podIP, podIPs, phase } = object(spec?.status) ?? {};
  if (phase === "Succeeded" || phase === "Failed" || object(spec?.spec)?.hostNetwork === true) return false;
  return podIP === ip || list(podIPs).some((each) => text(object(each)?.ip) === ip);
}

function matches(selector: Readonly<Record<string, string>>, labels: Readonly<Record<string, string>> | undefined): boolean {
  return Object.entries(selector).every(([key, value]) => labels?.[key] === value);
}
