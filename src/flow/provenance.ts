// From Envoy resources back to what they were made from: for who explains them.
import type { Read } from "../graph/mod.ts";
import type { EnvoyResource, ProxyKey } from "../model/envoy-resource.ts";
import type { Place } from "../model/problem.ts";
import { parseResourceKey, type Ref, type ResourceKey, resourceKey } from "../model/ref.ts";
import type { Kind, Resource } from "../model/resource.ts";
import type { ModelVirtualHost } from "../model/virtual-host.ts";
import type { Source } from "../plugin/source.ts";
import type { World } from "../plugin/world.ts";
import { virtualHostOf } from "../routing/virtual-host.ts";
import type { Flow } from "./flow.ts";
import type { SiteHost } from "./hosts.ts";
import { worldOf } from "./world.ts";

export interface Provenance {
  /** What a virtual host of a route configuration was made from. */
  modelOf(proxy: ProxyKey, routes: EnvoyResource, virtualHost: string): ModelVirtualHost | undefined;
  /**
   * The place of a field of a resource, or of the nearest parent that is written; undefined for what stands in no file, and where an older
   * version than the file's is in service.
   */
  placeOf(resource: ResourceKey, path?: string): Place | undefined;
}

export function provenanceOf(flow: Flow, sources: readonly Source[]): Provenance {
  return {
    modelOf(proxy, { owners }, virtualHost) {
      const proxyName = proxy.slice(proxy.indexOf("~") + 1);
      for (const [, host] of flow.hosts.entries()) {
        const { attachment, made } = host;
        const isMeant = made?.name === virtualHost && attachment.proxy === proxyName && owners.includes(attachment.gateway);
        if (isMeant) return made.model ?? madeAgain(flow, host);
      }
      return undefined;
    },
    placeOf(key, path) {
      const resource = flow.given(key);
      if (resource === undefined || keepsLastGood(flow, key)) return undefined;
      return sources.find(({ name }) => name === resource.origin.source)?.locate(resource, path);
    },
  };
}

/** What runs does not keep models: it would be as much again as what is sent. */
function madeAgain(flow: Flow, { attachment, made }: SiteHost): ModelVirtualHost | undefined {
  const world = inService(flow, made?.owners ?? []);
  const virtualService = world.get("VirtualService", parseResourceKey(attachment.virtualService).ref);
  const gateway = { ref: parseResourceKey(attachment.gateway).ref };
  return virtualService && virtualHostOf(gateway, attachment.proxy, virtualService, world).host;
}

/** The world as it was when a virtual host was made: with the last good versions of those owners that keep theirs. */
function inService(flow: Flow, owners: readonly ResourceKey[]): World {
  const world = worldOf(untracked, flow.known);
  const kept = new Map(owners.filter((key) => keepsLastGood(flow, key)).map((key) => [key, flow.lastGood(key).get(key)]));
  const inUse = <K extends Kind>(resource: Resource<K>): Resource<K> => (kept.get(resource.key) as Resource<K> | undefined) ?? resource;
  return {
    get<K extends Kind>(kind: K, ref: Ref) {
      return (kept.get(resourceKey(kind, ref)) as Resource<K> | undefined) ?? world.get(kind, ref);
    },
    list: (kind, namespace, labels, fields) => world.list(kind, namespace, labels, fields).map(inUse),
    get settings() {
      return world.settings;
    },
  };
}

function keepsLastGood(flow: Flow, key: ResourceKey): boolean {
  return flow.judged[parseResourceKey(key).kind as Kind]?.get(key)?.keepsLastGood ?? false;
}

/** For a look from outside of the graph, between its batches. */
const untracked: Read = {
  get: (collection, key) => collection.get(key),
  has: (collection, key) => collection.has(key),
  lookup: (index, key) => index.lookup(key),
  list: (collection) => collection.entries(),
  size: (collection) => collection.size,
  value: (single) => single.value,
};
