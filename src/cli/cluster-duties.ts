// What a control plane does for the cluster that it reads: statuses on objects, and Upstreams that discovery finds as objects. One replica
// does it, the one that has the Lease; all others serve just the same.
import { randomUUID } from "node:crypto";
import { hostname } from "node:os";
import type { ControlPlane } from "../control-plane.ts";
import { upstreamWriterOn } from "../discovery/kubernetes-api.ts";
import type { KubeApi } from "../lib/kubernetes/api.ts";
import { Lease } from "../lib/kubernetes/lease.ts";
import type { KubeObject, ServedType } from "../lib/kubernetes/object.ts";
import { parseResourceKey, type ResourceKey } from "../model/ref.ts";
import type { Kind } from "../model/resource.ts";
import type { Logger } from "../plugin/upstream-type.ts";
import type { StoredObject, StoredObjects } from "../status/kubernetes/stored.ts";
import { StatusWriter } from "../status/kubernetes/writer.ts";

export interface DutiesOptions {
  readonly api: KubeApi;
  readonly plane: ControlPlane;
  readonly objects: StoredStatuses;
  /** Where Headworks itself is: the namespace of the Lease, and the key of its statuses. */
  readonly namespace: string;
  readonly log: Logger;
}

export function attend({ api, plane, objects, namespace, log }: DutiesOptions): AsyncDisposable {
  const instance = hostname();
  let term = new AbortController();
  const lease = new Lease(api, {
    namespace,
    name: "headworks",
    identity: `${instance}_${randomUUID()}`,
    onChange(isLeader) {
      term.abort();
      term = new AbortController();
      log.info(
        { lease: `${namespace}/headworks` },
        isLeader ? "this replica writes statuses" : "another replica writes statuses, or none can",
      );
      writer.leads(isLeader);
      // Without Settings that ask for it, nobody expects new objects.
      if (isLeader)
        void plane.writeDiscovered({ writer: upstreamWriterOn(api, lease), signal: term.signal, byDefault: false }).catch(() => undefined);
    },
    onFault(error) {
      if (error) log.warn({ error: error.message }, "the Lease cannot be had; what is served is as it should be, statuses wait");
    },
  });
  const writer = new StatusWriter({ api, objects, verdicts: plane.verdicts, leadership: lease, namespace, instance, log });
  const noJudged = plane.onJudged((keys) => writer.note(keys));
  // Who has nothing to say yet need not lead.
  void plane.ready.then(() => lease.start()).catch(() => undefined);
  return {
    async [Symbol.asyncDispose]() {
      noJudged();
      term.abort();
      await writer[Symbol.asyncDispose]();
      await lease[Symbol.asyncDispose]();
    },
  };
}

/** Of the objects of a cluster, what it takes to write their statuses. Filled by the source as it sees them. */
export class StoredStatuses implements StoredObjects {
  readonly #typeOf: (kind: Kind) => ServedType | undefined;
  readonly #objects = new Map<ResourceKey, Omit<StoredObject, "type">>();
  readonly #listeners = new Set<(key: ResourceKey) => void>();

  constructor(typeOf: (kind: Kind) => ServedType | undefined) {
    this.#typeOf = typeOf;
  }

  see(key: ResourceKey, object: KubeObject | undefined): void {
    if (object === undefined) this.#objects.delete(key);
    else {
      const { metadata, status } = object;
      const { namespace = "", name, uid = "", resourceVersion = "" } = metadata;
      const isVanishing = metadata.deletionTimestamp !== undefined;
      this.#objects.set(key, { namespace, name, uid, resourceVersion, status, ...(isVanishing && { isVanishing }) });
    }
    for (const listener of this.#listeners) listener(key);
  }

  stored(key: ResourceKey): StoredObject | undefined {
    const object = this.#objects.get(key);
    const type = object && this.#typeOf(parseResourceKey(key).kind as Kind);
    return object && type && { ...object, type };
  }

  onStored(listener: (key: ResourceKey) => void): () => void {
    this.#listeners.add(listener);
    return () => this.#listeners.delete(listener);
  }
}
