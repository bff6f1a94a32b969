// Which kind an object is: by apiVersion and kind, by its place in a folder, or by its fields.
import { closest } from "../lib/closest.ts";
import { type ApiKind, type KubeKind, kinds } from "../model/resource.ts";

export const apiKinds = Object.keys(kinds) as ApiKind[];

/** What an apiVersion and a kind name. */
export type KindAnswer =
  | { readonly is: "api"; readonly kind: ApiKind }
  /** A Kubernetes object that configuration refers to. */
  | { readonly is: "kube"; readonly kind: KubeKind | "Secret" | "ConfigMap" }
  /** Not ours, and everybody knows it. */
  | { readonly is: "ignored" }
  | { readonly is: "foreign" }
  | { readonly is: "unknown"; readonly hint?: string }
  | { readonly is: "wrongVersion"; readonly kind: ApiKind; readonly expected: string };

const kubeVersions: Readonly<Record<string, string>> = {
  Service: "v1",
  Endpoints: "v1",
  Pod: "v1",
  Node: "v1",
  Namespace: "v1",
  Secret: "v1",
  ConfigMap: "v1",
  EndpointSlice: "discovery.k8s.io/v1",
} satisfies Record<KubeKind | "Secret" | "ConfigMap", string>;

/** Groups and versions of 2019 that hold the same kinds. */
const oldVersions: Readonly<Record<string, readonly ApiKind[]>> = { "gateway.solo.io.v2/v2": ["Gateway"] };

/** Kinds of the API that configure what we do not run: nothing is wrong with them. */
const notOurs = new Set(["DirectResponse", "GatewayParameters", "GraphQLApi", "FederatedUpstream", "FederatedVirtualService"]);

export function kindOf(apiVersion: string, kind: string): KindAnswer {
  const slash = apiVersion.indexOf("/");
  // Without a slash it is a version of Kubernetes' own group, or a slip of the pen: `gateway.solo.io.v1`.
  const group = slash !== -1 ? apiVersion.slice(0, slash) : /\.solo\.io\b/.test(apiVersion) ? "solo.io" : "";
  if (kubeVersions[kind] === apiVersion && Object.hasOwn(kubeVersions, kind)) {
    return { is: "kube", kind: kind as KubeKind | "Secret" | "ConfigMap" };
  }
  if (kind === "EndpointSlice" && group === "discovery.k8s.io") return { is: "kube", kind };
  if (Object.hasOwn(kinds, kind)) {
    const known = kind as ApiKind;
    const expected = `${kinds[known].group}/${kinds[known].version}`;
    if (apiVersion === expected || oldVersions[apiVersion]?.includes(known)) return { is: "api", kind: known };
    if (isSoloGroup(group)) return { is: "wrongVersion", kind: known, expected };
  }
  if (isSoloGroup(group)) {
    if (notOurs.has(kind)) return { is: "foreign" };
    const near = closest(kind, apiKinds);
    return { is: "unknown", hint: near ? `did you mean ${near}?` : `the kinds are ${apiKinds.join(", ")}` };
  }
  return { is: group === "" || !group.includes(".") || isKubernetesOwn(group) ? "ignored" : "foreign" };
}

function isSoloGroup(group: string): boolean {
  return group === "solo.io" || group.endsWith(".solo.io") || group === "gateway.solo.io.v2";
}

/** `*.k8s.io` are Kubernetes' own, but for the Gateway API, whose users expect it to be read. */
function isKubernetesOwn(group: string): boolean {
  return group.endsWith(".k8s.io") && !group.startsWith("gateway.");
}

/** The kind that a folder of Gloo's file mode holds: `upstreams` → Upstream. */
export function kindOfPlural(plural: string): ApiKind | undefined {
  return apiKinds.find((kind) => kinds[kind].plural === plural);
}
