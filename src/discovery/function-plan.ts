// Whom discovery of functions may ask, and about what. Pure: modes, labels, and what users have written themselves.
import type { ServiceSpec } from "../gen/gloo/gloo/projects/gloo/api/v1/options/service_spec_pb.js";
import { Settings_DiscoveryOptions_FdsMode as Mode } from "../gen/gloo/gloo/projects/gloo/api/v1/settings_pb.js";
import type { Resource, Spec } from "../model/resource.ts";
import type { FunctionKind } from "../plugin/function-kind.ts";
import { serviceSpecOf, takesServiceSpec } from "../plugin/serviceSpec.ts";

export const functionLabel = "discovery.solo.io/function_discovery";

type Labels = Readonly<Record<string, string>> | undefined;

/** What is to be asked of one Upstream. */
export interface FunctionPlan {
  readonly kinds: readonly FunctionKind[];
  readonly begun: ServiceSpec | undefined;
}

/** `discovery` absent means WHITELIST; present, its own default is BLACKLIST. */
export function fdsMode(settings: Spec<"Settings">): Mode {
  return settings.discovery?.fdsMode ?? Mode.WHITELIST;
}

/** Undefined when the Upstream is left alone. `namespaceLabels` are of Kubernetes, where there is one. */
export function functionPlan(
  upstream: Resource<"Upstream">,
  settings: Spec<"Settings">,
  kinds: readonly FunctionKind[],
  namespaceLabels: (namespace: string) => Labels,
): FunctionPlan | undefined {
  const { spec, ref } = upstream;
  // A colon is in names of Upstreams that live in memory only, beside one of the same service that is an object.
  if (spec === undefined || ref.name.includes(":") || !takesServiceSpec(spec) || !isChosen(upstream, fdsMode(settings), namespaceLabels))
    return undefined;
  const begun = serviceSpecOf(spec);
  if (begun === undefined || begun.pluginType.case === undefined) return { kinds, begun: undefined };
  const completing = kinds.filter((kind) => kind.completes(begun));
  return completing.length > 0 ? { kinds: completing, begun } : undefined;
}

/** Whether the type of an Upstream is asked for its functions. */
export function isAskedByType(
  upstream: Resource<"Upstream">,
  settings: Spec<"Settings">,
  namespaceLabels: (namespace: string) => Labels,
): boolean {
  return takesFunctionsOfType(upstream) && isChosen(upstream, fdsMode(settings), namespaceLabels);
}

/** An Upstream that lists functions itself has those and no others, unless its label asks for more. */
export function takesFunctionsOfType(upstream: Resource<"Upstream">): boolean {
  const type = upstream.spec?.upstreamType;
  return type?.case !== "aws" || type.value.lambdaFunctions.length === 0 || saidOf(upstream) === "enabled";
}

/** Modes and labels, for Upstreams of any type. AWS is asked unless it is forbidden, also where others have to be allowed. */
export function isChosen(upstream: Resource<"Upstream">, mode: Mode, namespaceLabels: (namespace: string) => Labels): boolean {
  if (mode === Mode.DISABLED) return false;
  const said = saidOf(upstream);
  const namespace = namespaceOf(upstream);
  const saidThere = namespaceLabels(namespace)?.[functionLabel];
  if (said === "disabled") return false;
  if (mode === Mode.WHITELIST && upstream.spec?.upstreamType.case !== "aws") return said === "enabled" || saidThere === "enabled";
  // Where all are asked that nobody forbids, one who forbids is enough: here the Service.
  if (upstream.spec?.discoveryMetadata?.labels[functionLabel] === "disabled") return false;
  if (said === "enabled") return true;
  return saidThere !== "disabled" && (saidThere === "enabled" || !closedNamespaces.includes(namespace));
}

/** The Upstream's own label, else the one that its Service had. */
function saidOf({ labels, spec }: Resource<"Upstream">): string | undefined {
  return labels[functionLabel] ?? spec?.discoveryMetadata?.labels[functionLabel];
}

const closedNamespaces = ["kube-system", "kube-public"];

function namespaceOf({ ref, spec }: Resource<"Upstream">): string {
  return spec?.upstreamType.case === "kube" ? spec.upstreamType.value.serviceNamespace : ref.namespace;
}
