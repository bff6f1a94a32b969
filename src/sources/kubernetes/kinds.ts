// Which kinds are read from a cluster, and which fields of them. Everything else is dropped before an object is kept: managedFields
// alone is often more than the object itself.
import type { KubeObject, ResourceType } from "../../lib/kubernetes/object.ts";
import { setOwn } from "../../lib/set-own.ts";
import { type ApiKind, type Kind, type KubeKind, kinds } from "../../model/resource.ts";

export interface ClusterKind {
  readonly type: ResourceType;
  /** What it is to us: a ConfigMap is an Artifact. */
  readonly kind: Kind;
  /** Of the API: a definition may be missing, or go. */
  readonly isOurs: boolean;
  /** Read only while something asks for it. */
  readonly isOnDemand?: boolean;
  /** Without the right to read it everything else is served all the same. */
  readonly isOptional?: boolean;
  readonly fieldSelector?: string;
  /** Objects with the fields that are read. */
  readonly trim: (object: KubeObject) => KubeObject;
}

/** Gloo writes Proxies itself, from what we read; Secrets and Artifacts are Kubernetes' own there. */
const notRead = new Set<ApiKind>(["Proxy", "Secret", "Artifact"]);

export const ownKinds: readonly ClusterKind[] = (Object.keys(kinds) as ApiKind[])
  .filter((kind) => !notRead.has(kind))
  .map((kind) => {
    const { group, version, plural } = kinds[kind];
    return { kind, type: { group, version, plural, kind, isNamespaced: true }, isOurs: true, trim: withoutStatus };
  });

const core = (kind: KubeKind | "Secret" | "ConfigMap", plural: string, isNamespaced = true): ResourceType => ({
  group: "",
  version: "v1",
  plural,
  kind,
  isNamespaced,
});

/** Releases of Helm are a megabyte each; tokens of accounts and of registries are nobody's business here. */
const secretTypes = [
  "helm.sh/release.v1",
  "kubernetes.io/service-account-token",
  "kubernetes.io/dockerconfigjson",
  "bootstrap.kubernetes.io/token",
];
/** In every namespace there is one of each. */
const configMapNames = ["kube-root-ca.crt", "openshift-service-ca.crt", "istio-ca-root-cert"];

export const secretKind: ClusterKind = {
  kind: "Secret",
  type: core("Secret", "secrets"),
  isOurs: false,
  fieldSelector: secretTypes.map((type) => `type!=${type}`).join(),
  trim: keep(["type", "data"]),
};

export const configMapKind: ClusterKind = {
  kind: "Artifact",
  type: core("ConfigMap", "configmaps"),
  isOurs: false,
  fieldSelector: configMapNames.map((name) => `metadata.name!=${name}`).join(),
  trim: keep(["data"]),
};

export const serviceKind: ClusterKind = { kind: "Service", type: core("Service", "services"), isOurs: false, trim: keep(["spec"]) };

export const endpointSliceKind: ClusterKind = {
  kind: "EndpointSlice",
  type: { group: "discovery.k8s.io", version: "v1", plural: "endpointslices", kind: "EndpointSlice", isNamespaced: true },
  isOurs: false,
  trim: keep(["addressType", "ports", "endpoints"], ({ endpoints, ...rest }) => ({
    ...rest,
    endpoints: listOf(endpoints).map(({ addresses, conditions, targetRef, zone }) => ({
      addresses,
      conditions,
      ...trimmedRef(targetRef),
      ...(zone !== undefined && { zone }),
    })),
  })),
};

/** Where there are no slices: Kubernetes before 1.21. */
export const endpointsKind: ClusterKind = {
  kind: "Endpoints",
  type: core("Endpoints", "endpoints"),
  isOurs: false,
  trim: keep(["subsets"], ({ subsets, ...rest }) => ({
    ...rest,
    subsets: listOf(subsets).map(({ addresses, ports }) => ({
      addresses: listOf(addresses).map(({ ip, targetRef }) => ({ ip, ...trimmedRef(targetRef) })),
      ports,
    })),
  })),
};

/** Labels of Pods choose endpoints; nothing else of them is read but their addresses, and whether these are theirs. */
export const podKind: ClusterKind = {
  kind: "Pod",
  type: core("Pod", "pods"),
  isOurs: false,
  isOnDemand: true,
  isOptional: true,
  trim: (object) => {
    const { podIP, podIPs, phase } = objectOf(object.status);
    const isOnHost = objectOf(object.spec).hostNetwork === true;
    return { ...keep([])(object), ...(isOnHost && { spec: { hostNetwork: true } }), status: { podIP, podIPs, phase } };
  },
};

export const namespaceKind: ClusterKind = {
  kind: "Namespace",
  type: core("Namespace", "namespaces", false),
  isOurs: false,
  isOptional: true,
  trim: keep([]),
};

/** Annotations that repeat the object, or that others write every few seconds. */
const noisyAnnotations = new Set([
  "kubectl.kubernetes.io/last-applied-configuration",
  "endpoints.kubernetes.io/last-change-trigger-time",
  "deployment.kubernetes.io/revision",
]);

/** Not only `spec`: what stands beside it belongs into it, and is to be reported. */
function withoutStatus(object: KubeObject): KubeObject {
  return keep(Object.keys(object).filter((field) => field !== "metadata" && field !== "status"))(object);
}

type Fields = Readonly<Record<string, unknown>>;

function keep(fields: readonly string[], also: (kept: Fields) => Fields = (kept) => kept): (object: KubeObject) => KubeObject {
  return (object) => {
    const kept: Record<string, unknown> = {};
    for (const field of fields) if (object[field] !== undefined) kept[field] = object[field];
    const { apiVersion, kind, metadata } = object;
    const { name, namespace, labels, creationTimestamp } = metadata;
    return {
      apiVersion,
      kind,
      metadata: {
        name,
        ...(namespace !== undefined && { namespace }),
        ...(labels && { labels }),
        ...annotationsOf(metadata.annotations),
        ...(creationTimestamp !== undefined && { creationTimestamp }),
      },
      ...also(kept),
    };
  };
}

function annotationsOf(all: Readonly<Record<string, string>> | undefined): { annotations?: Record<string, string> } {
  if (!all) return {};
  const annotations: Record<string, string> = {};
  for (const [name, value] of Object.entries(all)) if (!noisyAnnotations.has(name)) setOwn(annotations, name, value);
  return { annotations };
}

function trimmedRef(targetRef: unknown): { targetRef?: Fields } {
  if (targetRef === undefined) return {};
  const { kind, name } = objectOf(targetRef);
  return { targetRef: { kind, name } };
}

function listOf(value: unknown): readonly Fields[] {
  return Array.isArray(value) ? value.map(objectOf) : [];
}

function objectOf(value: unknown): Fields {
  return typeof value === "object" && value !== null ? (value as Fields) : {};
}
