// The model between two worlds: what VirtualServices and RouteTables come to, in the words of Gloo's Proxy, before any of Envoy's.
// Beside each message stands where it was written, so that a finding names the object and the field that its user can mend.
import type { Route, VirtualHost } from "../gen/gloo/gloo/projects/gloo/api/v1/proxy_pb.js";
import type { ResourceKey } from "./ref.ts";

/** A place in the configuration: `virtualHost.routes[2]` of a VirtualService, `routes[0]` of a RouteTable. */
export interface Written {
  readonly resource: ResourceKey;
  readonly path: string;
}

/** Where the options of a message stand that are not its own, by field: `timeout` came from a RouteOption. */
export type OptionPlaces = ReadonlyMap<string, Written>;

export interface ModelRoute {
  readonly route: Route;
  readonly at: Written;
  readonly optionsAt: OptionPlaces;
  /** The route of the VirtualService that leads here. */
  readonly via: string;
}

export interface ModelVirtualHost {
  /** The VirtualService. */
  readonly resource: ResourceKey;
  /** Without its routes: those are in `routes`, with their places. */
  readonly host: VirtualHost;
  readonly routes: readonly ModelRoute[];
  readonly optionsAt: OptionPlaces;
  /** Everything it was made from: the VirtualService, RouteTables, options. */
  readonly owners: readonly ResourceKey[];
}

/** Domains as Envoy compares them: it takes upper and lower case for the same, and refuses every route if two hosts have one domain. */
export function domainKey(domain: string): string {
  return domain.toLowerCase();
}
