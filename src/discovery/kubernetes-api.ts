// Discovered Upstreams as objects of a real cluster.
import type { KubeApi, ObjectRef } from "../lib/kubernetes/api.ts";
import { KubeError } from "../lib/kubernetes/error.ts";
import type { Leadership } from "../lib/kubernetes/lease.ts";
import type { KubeObject, ResourceType } from "../lib/kubernetes/object.ts";
import { kinds } from "../model/resource.ts";
import { isDiscoverys } from "./kubernetes-plan.ts";
import type { UpstreamWriter } from "./kubernetes-writer.ts";

const { group, version, plural } = kinds.Upstream;
const type: ResourceType = { group, version, plural, kind: "Upstream", isNamespaced: true };
const apiVersion = `${group}/${version}`;

/** In `managedFields`: whose fields they are. */
const fieldManager = "headworks-discovery";

/** Nothing is written while another leads: a process that was stopped for a minute may find work before it finds that out. */
export function upstreamWriterOn(api: KubeApi, leadership: Leadership): UpstreamWriter {
  /** Whether an object is still discovery's is asked right before it is written, and holds for that very version of it. */
  const onOwn = async (ref: ObjectRef, signal: AbortSignal, write: (object: KubeObject) => Promise<unknown>) => {
    for (let attempt = 1; ; attempt++) {
      const object = await api.get(type, ref, { signal });
      if (!isDiscoverys(object.metadata.labels) || object.metadata.deletionTimestamp !== undefined || !leadership.isLeader) return;
      try {
        await write(object);
        return;
      } catch (error) {
        // A status that was written in between, as a rule.
        if (!(error instanceof KubeError && error.fault === "conflict") || attempt === 5) throw error;
      }
    }
  };
  return {
    async create(object, signal) {
      if (leadership.isLeader) await api.create(type, { apiVersion, kind: "Upstream", ...object }, { signal, fieldManager });
    },
    update: (ref, patch, signal) =>
      onOwn(ref, signal, ({ metadata: { resourceVersion } }) => {
        const { metadata } = patch as { readonly metadata?: object };
        return api.patch(type, ref, { ...patch, metadata: { ...metadata, resourceVersion } }, { signal, fieldManager });
      }),
    delete: (ref, signal) =>
      onOwn(ref, signal, ({ metadata: { uid, resourceVersion } }) =>
        api.delete(type, ref, {
          signal,
          preconditions: { ...(uid !== undefined && { uid }), ...(resourceVersion !== undefined && { resourceVersion }) },
        }),
      ),
  };
}
