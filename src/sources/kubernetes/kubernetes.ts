// A Kubernetes cluster as a source: all kinds of the API, and the Services, endpoints, Secrets and ConfigMaps they refer to.
//
// Nothing that goes wrong with the cluster takes anything out of service: an outage says nothing, a right that is lost or a definition
// that is removed leaves what was read, and a mass deletion is looked at twice. What it leaves to others: what the objects mean, and
// writing to them.
import { KubeError } from "../../lib/kubernetes/error.ts";
import { listPages } from "../../lib/kubernetes/list-all.ts";
import { apiVersionOf, type KubeObject, type ServedType } from "../../lib/kubernetes/object.ts";
import type { Kind, Resource } from "../../model/resource.ts";
import type { Source, SourceBatch, SourceHealth } from "../../plugin/source.ts";
import { ClusterFollower, type FollowOptions } from "./cluster-follower.ts";
import { Inventory, resourceOfObject } from "./inventory.ts";
import {
  type ClusterKind,
  configMapKind,
  endpointSliceKind,
  endpointsKind,
  namespaceKind,
  ownKinds,
  podKind,
  secretKind,
  serviceKind,
} from "./kinds.ts";

export type KubernetesOptions = FollowOptions;

export interface KubernetesSource extends Source {
  /** How the cluster is doing now, for probes and people. */
  health(): SourceHealth;
  /** A kind as the cluster serves it (with a status subresource or without); undefined where it does not, or is not watched. */
  typeOf(kind: Kind): ServedType | undefined;
  /** An object as it would be read if it were stored; undefined for a kind, or a namespace, that is not read. */
  resourceOf(object: KubeObject): Resource | undefined;
}

export function kubernetesSource(options: KubernetesOptions): KubernetesSource {
  let follower: ClusterFollower | undefined;
  const begun = new Date().toISOString();
  return {
    name: "kubernetes",
    async *watch(signal) {
      follower = new ClusterFollower(options, signal);
      yield* follower.batches();
    },
    read: () => readOnce(options),
    locate: () => undefined,
    health: () => follower?.health.now ?? { state: "starting", since: begun, faults: [] },
    typeOf: (kind) => follower?.served.get(kind),
    resourceOf: (object) => {
      const { namespaces = [] } = options;
      const isRead = namespaces.length === 0 || namespaces.includes(object.metadata.namespace ?? "");
      return isRead ? resourceOfObject(object, options) : undefined;
    },
  };
}

/** All there is, for commands that read once. Throws a KubeError. */
async function readOnce(options: KubernetesOptions): Promise<SourceBatch> {
  const { api, namespaces = [] } = options;
  const inventory = new Inventory(options);
  const versions = new Set([...ownKinds, endpointSliceKind].map(({ type }) => apiVersionOf(type)));
  const served = (await Promise.all([...versions].map((version) => api.discover(version)))).flat();
  const isServed = ({ type }: ClusterKind) => served.some((each) => each.group === type.group && each.plural === type.plural);
  const list = async (kind: ClusterKind) => {
    const { type, fieldSelector, isOptional } = kind;
    if (namespaces.length > 0 && !type.isNamespaced) return;
    for (const namespace of namespaces.length === 0 || !type.isNamespaced ? [undefined] : namespaces) {
      try {
        const selection = { ...(namespace !== undefined && { namespace }), ...(fieldSelector !== undefined && { fieldSelector }) };
        for await (const { items } of listPages(api, type, selection)) for (const item of items) inventory.apply(kind, item);
      } catch (error) {
        if (!(isOptional && error instanceof KubeError && error.fault === "denied")) throw error;
      }
    }
  };
  const endpoints = isServed(endpointSliceKind) ? endpointSliceKind : endpointsKind;
  const all = [...ownKinds.filter(isServed), serviceKind, endpoints, secretKind, configMapKind, namespaceKind];
  await Promise.all(all.map(list));
  if (inventory.wantsPods) await list(podKind);
  return inventory.takeAll();
}
