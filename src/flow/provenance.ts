// From Envoy resources back to what they were made from: for who explains them.
import type { EnvoyResource, ProxyKey } from "../model/envoy-resource.ts";
import type { Place } from "../model/problem.ts";
import type { ResourceKey } from "../model/ref.ts";
import type { ModelVirtualHost } from "../model/virtual-host.ts";
import type { Source } from "../plugin/source.ts";
import type { Flow } from "./flow.ts";

export interface Provenance {
  /** What a virtual host of a route configuration was made from. */
  modelOf(proxy: ProxyKey, routes: EnvoyResource, virtualHost: string): ModelVirtualHost | undefined;
  /** The place of a field of a resource, or of the nearest parent that is written; undefined for what stands in no file. */
  placeOf(resource: ResourceKey, path?: string): Place | undefined;
}

/** Of a flow that answers once: others do not keep what virtual hosts were made from. */
export function provenanceOf(flow: Flow, sources: readonly Source[]): Provenance {
  return {
    modelOf(proxy, { owners }, virtualHost) {
      const proxyName = proxy.slice(proxy.indexOf("~") + 1);
      for (const [, { attachment, made }] of flow.hosts.entries()) {
        const isMeant = made?.name === virtualHost && attachment.proxy === proxyName && owners.includes(attachment.gateway);
        if (isMeant && made.model !== undefined) return made.model;
      }
      return undefined;
    },
    placeOf(key, path) {
      const resource = flow.given(key);
      return resource && sources.find(({ name }) => name === resource.origin.source)?.locate(resource, path);
    },
  };
}
