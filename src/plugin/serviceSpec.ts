// `serviceSpec`: what the service behind an Upstream is. Only some types of Upstreams have the field.
import type { ServiceSpec } from "../gen/gloo/gloo/projects/gloo/api/v1/options/service_spec_pb.js";
import type { Upstream } from "../gen/gloo/gloo/projects/gloo/api/v1/upstream_pb.js";

export function serviceSpecOf(upstream: Upstream | undefined): ServiceSpec | undefined {
  return specOf(upstream)?.serviceSpec;
}

/** True for an Upstream whose type has the field. */
export function takesServiceSpec(upstream: Upstream): boolean {
  return kindsWithServiceSpec.some((kind) => kind === upstream.upstreamType.case);
}

const kindsWithServiceSpec = ["kube", "static", "pipe", "consul"] as const;

function specOf(upstream: Upstream | undefined): { readonly serviceSpec?: ServiceSpec | undefined } | undefined {
  return upstream && takesServiceSpec(upstream) ? (upstream.upstreamType.value as { readonly serviceSpec?: ServiceSpec }) : undefined;
}
