// The pods behind a Service, from its Endpoints or EndpointSlices. Pure: the objects are in the World.
//
// Endpoints are read first because Gloo reads only those; slices where there are no Endpoints, or the API server has cut them
// short at 1000 addresses.
import type { JsonObject } from "@bufbuild/protobuf";
import type { Resource } from "../../model/resource.ts";
import type { Endpoint, TypeContext, TypedUpstream } from "../../plugin/upstream-type.ts";
import type { World } from "../../plugin/world.ts";
import { list, object, type ServicePort, serviceOf, servicePort, servicePorts, text } from "./service.ts";

interface Address {
  readonly ip: string;
  readonly port: number;
  /** Name of the pod, where the address says so. */
  readonly pod: string;
}

export function endpointsOfService(upstream: TypedUpstream<"kube">, { world }: TypeContext): readonly Endpoint[] {
  const { spec } = upstream;
  const service = serviceOf(spec, world);
  const port = service && servicePort(spec, service);
  if (!service || !port) return [];
  const wantsPod = Object.keys(spec.selector).length > 0 || spec.subsetSpec !== undefined;
  const tellsMesh = world.settings.gloo?.istioOptions?.enableAutoMtls === true;
  return addressesOf(service, port, world).flatMap(({ ip, port, pod }) => {
    const labels = podLabels(service.ref.namespace, pod, ip, wantsPod, world);
    if (!matches(spec.selector, labels)) return [];
    const isInMesh = tellsMesh && labels?.["security.istio.io/tlsMode"] === "istio";
    return [{ address: ip, port, ...(labels && { labels }), ...(isInMesh && { socketMatch: { tlsMode: "istio" } }) }];
  });
}

function addressesOf(service: Resource<"Service">, port: ServicePort, world: World): readonly Address[] {
  const isOnlyPort = servicePorts(service).length === 1;
  const endpoints = world.get("Endpoints", service.ref);
  if (endpoints && endpoints.annotations["endpoints.kubernetes.io/over-capacity"] !== "truncated") {
    return list(endpoints.spec?.subsets).flatMap((subset) => addressesOfSubset(object(subset) ?? {}, port, isOnlyPort));
  }
  const slices = world
    .list("EndpointSlice", service.ref.namespace)
    .filter(({ labels }) => labels["kubernetes.io/service-name"] === service.ref.name);
  const addresses = slices.flatMap(({ spec }) => addressesOfSlice(spec ?? {}, port, isOnlyPort));
  // An address moves from one slice to another in two steps, and is in both for a moment.
  return [...new Map(addresses.map((address) => [`${address.ip} ${address.port}`, address])).values()];
}

function addressesOfSubset(subset: JsonObject, port: ServicePort, isOnlyPort: boolean): Address[] {
  const number = targetPort(subset.ports, port, isOnlyPort);
  if (number === undefined) return [];
  return list(subset.addresses).flatMap((each) => {
    const address = object(each) ?? {};
    const ip = text(address.ip);
    return ip === "" ? [] : [{ ip, port: number, pod: podName(address.targetRef) }];
  });
}

function addressesOfSlice(slice: JsonObject, port: ServicePort, isOnlyPort: boolean): Address[] {
  const number = targetPort(slice.ports, port, isOnlyPort);
  if (number === undefined || slice.addressType === "FQDN") return [];
  return list(slice.endpoints).flatMap((each) => {
    const endpoint = object(each) ?? {};
    // Unknown readiness counts as ready, says the API.
    if (object(endpoint.conditions)?.ready === false) return [];
    return list(endpoint.addresses).flatMap((ip) =>
      typeof ip === "string" ? [{ ip, port: number, pod: podName(endpoint.targetRef) }] : [],
    );
  });
}

/** The number of a port of the pods. With a single port there is nothing to tell apart, so names do not count. */
function targetPort(ports: JsonObject[string] | undefined, wanted: ServicePort, isOnlyPort: boolean): number | undefined {
  const all = list(ports).flatMap((each) => {
    const { name, port } = object(each) ?? {};
    return typeof port === "number" ? [{ name: text(name), port }] : [];
  });
  return isOnlyPort ? all.at(-1)?.port : all.find(({ name }) => name === wanted.name)?.port;
}

function podName(targetRef: JsonObject[string] | undefined): string {
  const ref = object(targetRef);
  return ref?.kind === "Pod" ? text(ref.name) : "";
}

function podLabels(
  namespace: string,
  name: string,
  ip: string,
  isWorthASearch: boolean,
  world: World,
): Readonly<Record<string, string>> | undefined {
  if (name !== "") return world.get("Pod", { namespace, name })?.labels;
  if (!isWorthASearch) return undefined;
  return world.list("Pod", namespace).find(({ spec }) => object(spec?.status)?.podIP === ip)?.labels;
}

function matches(selector: Readonly<Record<string, string>>, labels: Readonly<Record<string, string>> | undefined): boolean {
  return Object.entries(selector).every(([key, value]) => labels?.[key] === value);
}
