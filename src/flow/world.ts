// The World of pure functions, on tracked reads: what they ask for here is what makes them run again.
import { create } from "@bufbuild/protobuf";
import { SettingsSchema } from "../gen/gloo/gloo/projects/gloo/api/v1/settings_pb.js";
import type { Collection, Graph, Index, Read, Single } from "../graph/mod.ts";
import { type Ref, type ResourceKey, resourceKey } from "../model/ref.ts";
import type { Kind, Resource, Spec } from "../model/resource.ts";
import type { Wanted, World } from "../plugin/world.ts";
import { allKinds } from "./inputs.ts";
import { isIndexed, type Selectable, selectableKinds, selectionKeys, selectionOf } from "./selections.ts";

/** The resources as they are in service: the newest version that can be used. */
export interface InService {
  readonly of: { readonly [K in Kind]: Collection<Resource<K>> };
  readonly byNamespace: { readonly [K in Kind]: Index<Resource<K>> };
  /** Of the kinds that others select by labels or fields. */
  readonly bySelection: { readonly [K in Selectable]: Index<Resource> };
  /** Upstreams that nobody wrote: those of Kubernetes Services. */
  readonly generated: Collection<Resource<"Upstream">>;
  /** Upstreams that discovery finds and nobody has written. */
  readonly discovered: Collection<Resource<"Upstream">>;
  readonly settings: Single<Spec<"Settings">>;
}

/** `Settings gloo-system/default`; where that is not there, the only Settings there are. */
export function settingsFlow(graph: Graph, settings: Collection<Resource<"Settings">>): InService["settings"] {
  return graph.value("settings", (read) => {
    const usual = read.get(settings, resourceKey("Settings", { namespace: "gloo-system", name: "default" }));
    const all = usual === undefined ? read.list(settings) : [];
    return (usual ?? (all.length === 1 ? all[0]?.[1] : undefined))?.spec ?? defaultSettings;
  });
}

export function inService({
  of,
  settings,
  generated,
  discovered,
}: Pick<InService, "of" | "settings" | "generated" | "discovered">): InService {
  const byNamespace = Object.fromEntries(
    allKinds.map((kind) => [kind, (of[kind] as Collection<Resource>).index("by namespace", (resource) => [resource.ref.namespace])]),
  ) as unknown as InService["byNamespace"];
  const bySelection = Object.fromEntries(
    selectableKinds.map((kind) => [
      kind,
      (of[kind] as unknown as Collection<Resource>).index("by selection", (resource) => selectionKeys(kind, resource)),
    ]),
  ) as unknown as InService["bySelection"];
  return { of, byNamespace, bySelection, generated, discovered, settings };
}

/** What holds where there are no Settings. */
const defaultSettings = create(SettingsSchema, { discoveryNamespace: "gloo-system" });

/** The World as one running function sees it. `used` is told the discovered Upstreams that it asks for. */
export function worldOf(read: Read, known: InService, used?: Set<ResourceKey>): World {
  return {
    get<K extends Kind>(kind: K, ref: Ref): Resource<K> | undefined {
      const key = resourceKey(kind, ref);
      const own = read.get(known.of[kind] as unknown as Collection<Resource<K>>, key);
      if (own !== undefined || kind !== "Upstream") return own;
      const generated = read.get(known.generated, key) as Resource<K> | undefined;
      if (generated !== undefined) return generated;
      const discovered = read.get(known.discovered, key) as Resource<K> | undefined;
      if (discovered !== undefined) used?.add(key);
      return discovered;
    },
    list<K extends Kind>(kind: K, namespace?: string, labels: Wanted = {}, fields: Wanted = {}): readonly Resource<K>[] {
      const selection = isIndexed(kind) ? selectionOf(kind, namespace, labels, fields) : undefined;
      if (isIndexed(kind) && selection !== undefined) {
        const index = known.bySelection[kind] as unknown as Index<Resource<K>>;
        return read.lookup(index, selection).map(([, resource]) => resource);
      }
      const collection = known.of[kind] as unknown as Collection<Resource<K>>;
      const index = known.byNamespace[kind] as unknown as Index<Resource<K>>;
      return (namespace === undefined ? read.list(collection) : read.lookup(index, namespace)).map(([, resource]) => resource);
    },
    get settings() {
      return read.value(known.settings);
    },
  };
}
