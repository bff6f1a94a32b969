// The addresses behind one port of a Service, as Kubernetes lists them. Pure: the objects are in the World.
//
// EndpointSlices are read first: Endpoints are the older list, end at 1000 addresses and know one family only. Gloo reads nothing
// else, so Endpoints that somebody wrote by hand count where a Service has no slices.
import type { JsonObject } from "@bufbuild/protobuf";
import { isIpAddress } from "../../lib/ip.ts";
import type { Resource } from "../../model/resource.ts";
import type { World } from "../../plugin/world.ts";
import { isPort, list, object, type ServicePort, servicePorts, text } from "./service.ts";

export interface Address {
  readonly ip: string;
  readonly port: number;
  /** Name of the pod, where the address says so. */
  readonly pod: string;
  readonly zone?: string;
  /** Kubernetes itself has picked this pod, by the selector of the Service. */
  readonly isPicked: boolean;
  /** The pod is shutting down and still answers. */
  readonly isLeaving: boolean;
}

const serviceNameLabel = "kubernetes.io/service-name";

export function addressesOf(service: Resource<"Service">, port: ServicePort, world: World): readonly Address[] {
  const slices = world
    .list("EndpointSlice", service.ref.namespace, { [serviceNameLabel]: service.ref.name })
    .filter(({ labels, spec }) => labels[serviceNameLabel] === service.ref.name && isOfAddresses(spec));
  if (slices.length === 0) return addressesOfEndpoints(world.get("Endpoints", service.ref), service, port);
  const preferred = familyOf(service);
  const other = preferred === "IPv4" ? "IPv6" : "IPv4";
  const ofFamily = (family: string) =>
    withoutRepeats(
      slices.filter(({ spec }) => spec?.addressType === family).flatMap(({ spec }) => addressesOfSlice(spec ?? {}, service, port)),
    );
  // A pod of a cluster with both families is in the slices of both: it is one endpoint and not two.
  const addresses = ofFamily(preferred);
  return addresses.length > 0 ? addresses : ofFamily(other);
}

/** Slices may also hold host names, a form which nothing in Kubernetes makes and which is on its way out. */
function isOfAddresses(slice: JsonObject | undefined): boolean {
  return slice?.addressType === "IPv4" || slice?.addressType === "IPv6";
}

function familyOf({ spec }: Resource<"Service">): "IPv4" | "IPv6" {
  const service = object(spec?.spec);
  const [family] = list(service?.ipFamilies);
  return family === "IPv6" || (family === undefined && text(service?.clusterIP).includes(":")) ? "IPv6" : "IPv4";
}

/** An address moves from one slice to another in two steps, and is in both for a moment. The more hopeful of the two is right. */
function withoutRepeats(addresses: readonly Address[]): Address[] {
  const found = new Map<string, Address>();
  for (const address of addresses) {
    const key = `${address.ip} ${address.port}`;
    const known = found.get(key);
    if (known === undefined || (known.isLeaving && !address.isLeaving)) found.set(key, address);
  }
  return [...found.values()];
}

function addressesOfSlice(slice: JsonObject, service: Resource<"Service">, port: ServicePort): Address[] {
  const number = targetPort(slice.ports, service, port);
  if (number === undefined) return [];
  return list(slice.endpoints).flatMap((each) => {
    const endpoint = object(each) ?? {};
    const { ready, serving, terminating } = object(endpoint.conditions) ?? {};
    const isLeaving = ready === false && serving === true && terminating === true;
    // Unknown readiness counts as ready, says the API.
    if (ready === false && !isLeaving) return [];
    const zone = text(endpoint.zone);
    // All addresses of one endpoint are the same pod, and the API says to use the first.
    const [ip] = list(endpoint.addresses).filter(isAddress);
    if (ip === undefined) return [];
    const pod = podName(endpoint.targetRef);
    return [{ ip, port: number, pod, isPicked: pod !== "", isLeaving, ...(zone !== "" && { zone }) }];
  });
}

function addressesOfEndpoints(endpoints: Resource<"Endpoints"> | undefined, service: Resource<"Service">, port: ServicePort): Address[] {
  const found = list(endpoints?.spec?.subsets).flatMap((each) => {
    const subset = object(each) ?? {};
    const number = targetPort(subset.ports, service, port);
    if (number === undefined) return [];
    return list(subset.addresses).flatMap((address) => {
      const { ip, targetRef } = object(address) ?? {};
      return isAddress(ip) ? [{ ip, port: number, pod: podName(targetRef), isPicked: false, isLeaving: false }] : [];
    });
  });
  return withoutRepeats(found);
}

/**
 * The number of a port of the pods. With a single port there is nothing to tell apart, so names that differ do not count; without a
 * number, all ports of the pod are meant.
 */
function targetPort(ports: JsonObject[string] | undefined, service: Resource<"Service">, wanted: ServicePort): number | undefined {
  const all = list(ports).map((each) => object(each) ?? {});
  const ofName = all.find(({ name }) => text(name) === wanted.name);
  const chosen = ofName ?? (servicePorts(service).length === 1 ? all.at(-1) : undefined);
  if (chosen === undefined) return undefined;
  const { port } = chosen;
  if (port === undefined || port === null) return wanted.targetPort ?? wanted.port;
  return isPort(port) ? port : undefined;
}

/** Envoy refuses the whole set for one that is no address. */
function isAddress(ip: JsonObject[string] | undefined): ip is string {
  return typeof ip === "string" && isIpAddress(ip);
}

function podName(targetRef: JsonObject[string] | undefined): string {
  const ref = object(targetRef);
  return ref?.kind === "Pod" ? text(ref.name) : "";
}
