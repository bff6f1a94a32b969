// The Envoy resources of a proxy, compiled as the embedded data plane compiles them, and nothing of them in service.

import { type EnvoyResource, type TypeUrl, typeUrls } from "../../model/envoy-resource.ts";
import { type CompiledCluster, compileCluster, compileLoadAssignment } from "../compile/cluster.ts";
import { type EndpointSet, noEndpoints } from "../compile/endpoints.ts";
import { type CompiledListener, compileListener } from "../compile/listener.ts";
import { type CompiledRouteConfig, compileRouteConfig } from "../compile/route-config.ts";

export interface DryListener {
  readonly resource: EnvoyResource;
  readonly compiled: CompiledListener;
}

export interface DryCluster {
  readonly resource: EnvoyResource;
  readonly compiled: CompiledCluster;
  readonly endpoints: EndpointSet;
}

/** What cannot be read is left out, as in the data plane. Each is compiled when it is asked for. */
export class DryResources {
  readonly #byName = new Map<string, EnvoyResource>();
  readonly #routes = new Map<string, CompiledRouteConfig | undefined>();
  readonly listeners: readonly DryListener[];

  constructor(resources: readonly EnvoyResource[]) {
    for (const resource of resources) this.#byName.set(`${resource.typeUrl} ${resource.name}`, resource);
    this.listeners = resources
      .filter(({ typeUrl }) => typeUrl === typeUrls.listener)
      .flatMap((resource) => {
        const compiled = readable(() => compileListener(resource.bytes, undefined));
        return compiled === undefined ? [] : [{ resource, compiled }];
      });
  }

  resource(typeUrl: TypeUrl, name: string): EnvoyResource | undefined {
    return this.#byName.get(`${typeUrl} ${name}`);
  }

  routeConfig(name: string): CompiledRouteConfig | undefined {
    if (!this.#routes.has(name)) {
      const resource = this.resource(typeUrls.route, name);
      this.#routes.set(name, resource && readable(() => compileRouteConfig(resource.bytes, undefined)));
    }
    return this.#routes.get(name);
  }

  cluster(name: string): DryCluster | undefined {
    const resource = this.resource(typeUrls.cluster, name);
    const compiled = resource && readable(() => compileCluster(resource.bytes));
    return resource && compiled && { resource, compiled, endpoints: this.#endpointsOf(compiled) };
  }

  #endpointsOf({ discovery, serviceName, inline }: CompiledCluster): EndpointSet {
    if (discovery !== "eds") return inline;
    const assignment = this.resource(typeUrls.endpoint, serviceName);
    return (assignment && readable(() => compileLoadAssignment(assignment.bytes).set)) ?? noEndpoints;
  }
}

function readable<T>(read: () => T): T | undefined {
  try {
    return read();
  } catch {
    return undefined; // whoever publishes it reports it
  }
}
