// What is asked of whoever reads the cluster: the objects as they are stored, with their statuses.
import type { ServedType } from "../../lib/kubernetes/object.ts";
import type { ResourceKey } from "../../model/ref.ts";

/** An object as the cluster holds it. */
export interface StoredObject {
  readonly type: ServedType;
  readonly namespace: string;
  readonly name: string;
  readonly uid: string;
  readonly resourceVersion: string;
  /** It is being deleted, and there until its finalizers are gone: nothing is written to it any more. */
  readonly isVanishing?: boolean;
  /** As it is stored, by whomever: nothing is believed of it. */
  readonly status: unknown;
}

export interface StoredObjects {
  /** Undefined where the resource is not of the cluster, or gone. */
  stored(key: ResourceKey): StoredObject | undefined;
  /** Calls with the key of each object that has changed, also when only its status has; returns what ends that. */
  onStored(listener: (key: ResourceKey) => void): () => void;
}
