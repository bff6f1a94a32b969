// Writing to a cluster: its API judges (definitions, the admission webhook), and nothing that somebody else has changed meanwhile is lost.
import { isDeepStrictEqual } from "node:util";
import type { KubeApi } from "../lib/kubernetes/api.ts";
import { KubeError } from "../lib/kubernetes/error.ts";
import { apiVersionOf, type KubeObject, type ResourceType } from "../lib/kubernetes/object.ts";
import type { ApiKind, Resource } from "../model/resource.ts";
import { customKinds } from "../plugin/config.ts";
import type { Plugins } from "../plugin/plugins.ts";
import type { Source, SourceBatch } from "../plugin/source.ts";
import { readJson } from "../sources/read-json.ts";
import { openCluster } from "./cluster.ts";
import { clusterOnce, inWords } from "./cluster-once.ts";
import type { WatchFlags } from "./cluster-options.ts";
import { CommandError, exitCodes } from "./exit.ts";
import { resourcesOfBatch } from "./folders.ts";
import { edited, type ListEdit, listAt } from "./list-edit.ts";
import { type Store, taken } from "./store.ts";
import { expectServed, objectsOf, storedKind } from "./stored-kind.ts";

/** How often an object that somebody else is writing as well is read again. */
const attempts = 5;

export async function clusterStore(flags: WatchFlags, plugins: Plugins): Promise<Store> {
  const api = await openCluster(flags);
  const { name } = api.connection;
  const written = withWrites(clusterOnce(api, flags, plugins).source);
  const custom = { customKinds: customKinds(plugins) };
  const read = (object: KubeObject) =>
    readJson(object, { source: "kubernetes", unknownFields: "warning", ...custom }).resources.map((each) => ({
      ...each,
      origin: { ...each.origin, ...(object.metadata.uid !== undefined && { uid: object.metadata.uid }) },
    }));
  const served = async (kind: ApiKind) => {
    const stored = storedKind(kind);
    if (stored === undefined) throw new CommandError("Proxies are computed, and stored nowhere", exitCodes.refused);
    await expectServed(api, stored, exitCodes.refused);
    return stored;
  };
  const list = async (kind: ApiKind, namespace: string) => (await objectsOf(api, await served(kind), namespace)).flatMap(read);
  return {
    name,
    source: written.source,
    list: (kind, namespace) => inWords(api, () => list(kind, namespace)),
    create: (object, file) =>
      inWords(api, async () => {
        if (file !== undefined) throw new CommandError("--file names a file of a folder; a cluster has none");
        const { type } = await served(object.kind as ApiKind);
        const made = await api.create(type, object, { fieldManager: "headworks-cli" }).catch((error: unknown) => {
          if (!(error instanceof KubeError) || error.reason !== "AlreadyExists") throw error;
          throw taken(object.kind as string, { namespace: object.metadata.namespace ?? "", name: object.metadata.name }, name);
        });
        written.apply(read({ apiVersion: apiVersionOf(type), kind: type.kind, ...made }));
        return name;
      }),
    edit: (resource, edit, dryRun) =>
      inWords(api, async () => {
        const { type } = await served(resource.kind as ApiKind);
        const object = await editObject(api, type, resource, edit, dryRun);
        if (!dryRun) written.apply(read(object));
        return { place: name, object: withoutBookkeeping(object) };
      }),
    delete: (resource) =>
      inWords(api, async () => {
        const { uid } = resource.origin;
        const { type } = await served(resource.kind as ApiKind);
        await api.delete(type, resource.ref, { ...(uid !== undefined && { preconditions: { uid } }) });
        written.remove(resource);
        return name;
      }),
    [Symbol.dispose]: () => api[Symbol.dispose](),
  };
}

/** The whole object is written back with its resourceVersion, so that fields we know nothing of stay. */
async function editObject(api: KubeApi, type: ResourceType, { ref }: Resource, edit: ListEdit, dryRun: boolean): Promise<KubeObject> {
  const { change } = edit;
  let meant: { readonly item: unknown } | undefined;
  for (let attempt = 1; ; attempt++) {
    const before = await api.get(type, ref);
    // A number means another item once somebody else has changed the list.
    const item = listAt(before, edit)[change.at];
    if (meant !== undefined && change.kind === "remove" && !isDeepStrictEqual(meant.item, item))
      throw new CommandError(`somebody else is changing ${type.kind} ${ref.namespace}/${ref.name}; look again`, exitCodes.refused);
    meant = { item };
    const after = edited(before, edit) as KubeObject;
    if (dryRun) return after;
    try {
      return { apiVersion: apiVersionOf(type), kind: type.kind, ...(await api.update(type, after, { fieldManager: "headworks-cli" })) };
    } catch (error) {
      if (!(error instanceof KubeError && error.fault === "conflict") || attempt === attempts) throw error;
    }
  }
}

function withoutBookkeeping(object: KubeObject): unknown {
  const { apiVersion, kind, metadata, spec } = object;
  const { name, namespace, labels, annotations } = metadata;
  return { apiVersion, kind, metadata: { name, namespace, ...(labels && { labels }), ...(annotations && { annotations }) }, spec };
}

/** The source, read once; what was written since is in it without reading all again. */
function withWrites(source: Source) {
  let batch: SourceBatch | undefined;
  const change = (edit: (resources: Map<string, Resource>) => void) => {
    if (batch === undefined) return;
    const resources = new Map<string, Resource>(resourcesOfBatch(batch).map((each) => [each.key, each]));
    edit(resources);
    batch = { ...batch, changes: [{ kind: "reset", resources: [...resources.values()] }] };
  };
  return {
    source: {
      ...source,
      read: async () => {
        batch ??= await source.read();
        return batch;
      },
    },
    apply: (more: readonly Resource[]) =>
      change((resources) => {
        for (const each of more) resources.set(each.key, each);
      }),
    remove: (resource: Resource) => change((resources) => void resources.delete(resource.key)),
  };
}
