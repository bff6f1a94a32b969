// Names on the wire, as Gloo has them: existing dashboards, alerts and Envoys know them.
import { hash } from "node:crypto";
import type { Ref } from "../model/ref.ts";

/** The cluster of an Upstream: `name_namespace`; dots stay. */
export function clusterName(ref: Ref): string {
  return ref.namespace === "" ? ref.name : `${ref.name}_${ref.namespace}`;
}

/**
 * The Upstream of a port of a Service. Of at most 63 characters; what a name loses, it has as a hash. Routes name these, so every
 * character counts.
 */
export function serviceUpstreamName({ namespace, name }: Ref, port: number): string {
  const whole = `${namespace}-${name}-${port}`.replaceAll(/[*/.:_ ]/g, "-").replaceAll(/[[\]\n"']/g, "");
  const short = whole.length > 63 ? `${whole.slice(0, 31)}-${hash("md5", whole, "hex")}`.slice(0, 63) : whole;
  return short.toLowerCase();
}

/** The Upstream that a destination of the form `kube: {ref, port}` leads to. The colon keeps it out of every store. */
export function imaginedService(service: Ref, port: number): Ref {
  return { namespace: service.namespace, name: `kube-svc:${serviceUpstreamName(service, port)}` };
}
