// Gateways with what is attached to them → listeners, and route configurations put together from encoded virtual hosts.
import type { Collection, Graph, Index, Read } from "../graph/mod.ts";
import type { EnvoyResource, ProxyKey } from "../model/envoy-resource.ts";
import type { Problem } from "../model/problem.ts";
import { type ResourceKey, resourceKey } from "../model/ref.ts";
import type { Resource } from "../model/resource.ts";
import type { Plugins } from "../plugin/plugins.ts";
import type { World } from "../plugin/world.ts";
import { controlNamespace, partsOf, proxiesOf } from "../routing/gateways.ts";
import { checkSelection } from "../routing/selection.ts";
import { type AttachedPart, type ListenerTranslation, listenerOf, type RouteConfigurationPlan } from "../translate/listener.ts";
import { routeConfiguration } from "../translate/route-configuration.ts";
import { type Hosts, siteOf } from "./hosts.ts";
import { type Inputs, sameJson } from "./inputs.ts";
import { type Made, type Reports, withLastGood } from "./last-good.ts";
import { hasCluster, type Upstreams } from "./upstreams.ts";
import { type InService, worldOf } from "./world.ts";

/** One Gateway for one proxy. */
export interface Site {
  readonly proxy: string;
  readonly gateway: Resource<"Gateway">;
}

export interface SiteListener extends Made<ListenerTranslation> {
  readonly proxy: ProxyKey;
  readonly proxyName: string;
  readonly gateway: ResourceKey;
}

export interface SiteRoutes {
  readonly proxy: ProxyKey;
  readonly resource: EnvoyResource;
}

export interface Listeners {
  readonly sites: Collection<Site>;
  readonly listeners: Collection<SiteListener>;
  readonly listenersByOwner: Index<SiteListener>;
  readonly routes: Collection<SiteRoutes>;
}

export function listenersFlow(
  graph: Graph,
  inputs: Inputs,
  known: InService,
  upstreams: Upstreams,
  hosts: Hosts,
  plugins: Plugins,
): Listeners {
  const sites = graph.deriveMany(
    "sites",
    hosts.gateways,
    (gateways) =>
      gateways.flatMap((gateway) => proxiesOfResource(gateway).map((proxy) => [`${proxy} ${gateway.key}`, { proxy, gateway }] as const)),
    { equals: (a, b) => a.gateway === b.gateway },
  );
  const listeners = graph.derive(
    "listeners",
    sites,
    (site, _key, read) => siteListener(site, read, inputs, known, upstreams, hosts, plugins),
    {
      equals: sameListener,
    },
  );
  const plans = graph.deriveMany(
    "route configuration plans",
    listeners,
    (listener) => listener.made.routes.map((plan) => [`${listener.proxy} ${plan.name}`, { listener, plan }] as const),
    { equals: (a, b) => sameJson([a.plan, a.listener.gateway], [b.plan, b.listener.gateway]) },
  );
  const routes = graph.derive(
    "route configurations",
    plans,
    ({ listener, plan }, _key, read): SiteRoutes => ({ proxy: listener.proxy, resource: routesOf(read, listener, plan, hosts, known) }),
    { equals: (a, b) => a.resource.version === b.resource.version },
  );
  return { sites, listeners, listenersByOwner: listeners.index("by owner", (listener) => listener.reports.keys()), routes };
}

function siteListener(
  { proxy, gateway }: Site,
  read: Read,
  inputs: Inputs,
  known: InService,
  upstreams: Upstreams,
  hosts: Hosts,
  plugins: Plugins,
): SiteListener {
  const world = worldOf(read, known);
  const made = withLastGood(read, inputs, world, (version) => {
    const resource = version.get("Gateway", gateway.ref) ?? gateway;
    const { parts, report } = partsOf(resource);
    for (const part of parts) if (part.kind === "http") checkSelection(part, version, report);
    const attached = parts.map((part, i): AttachedPart => {
      if (part.kind !== "http") return { part, hosts: [] };
      const virtualServices = read.lookup(hosts.attachmentsBySite, siteOf({ proxy, gateway: gateway.key, part: i }));
      return {
        part,
        hosts: virtualServices.map(([, each]) => ({
          resource: each.virtualService,
          ...(part.takesTls && sslOf(each.virtualService, version)),
        })),
      };
    });
    const translated = listenerOf(resource, attached, {
      world: version,
      plugins,
      hasCluster: (ref) => hasCluster(read, upstreams, resourceKey("Upstream", ref)),
    });
    return { made: translated, reports: reportsOf(gateway.key, [...report.problems, ...translated.problems]) };
  });
  return { proxy: proxyKey(world, proxy), proxyName: proxy, gateway: gateway.key, ...made };
}

function proxiesOfResource({ spec }: Resource<"Gateway">): readonly string[] {
  return spec === undefined ? [] : proxiesOf(spec);
}

export function proxyKey(world: Pick<World, "settings">, proxy: string): ProxyKey {
  return `${controlNamespace(world.settings)}~${proxy}`;
}

function sslOf(key: ResourceKey, world: World) {
  const slash = key.indexOf("/");
  const ref = { namespace: key.slice("VirtualService ".length, slash), name: key.slice(slash + 1) };
  const ssl = world.get("VirtualService", ref)?.spec?.sslConfig;
  return ssl && { ssl };
}

function reportsOf(gateway: ResourceKey, problems: readonly Problem[]): Reports {
  const reports = new Map<ResourceKey, Problem[]>([[gateway, []]]);
  for (const each of problems) {
    const key = each.resource ?? gateway;
    const own = reports.get(key);
    if (own === undefined) reports.set(key, [each]);
    else own.push(each);
  }
  return reports;
}

function routesOf(read: Read, listener: SiteListener, plan: RouteConfigurationPlan, hosts: Hosts, known: InService): EnvoyResource {
  const all = read.lookup(hosts.hostsBySite, siteOf({ proxy: listener.proxyName, gateway: listener.gateway, part: plan.part }));
  const wanted = plan.hosts.length === all.length ? undefined : new Set(plan.hosts);
  const served = all.flatMap(([, { attachment, made }]) =>
    made && (wanted === undefined || wanted.has(attachment.virtualService)) ? [made] : [],
  );
  const gateway = read.get(known.of.Gateway, listener.gateway);
  return routeConfiguration(plan.name, gateway?.spec?.routeOptions, served, listener.gateway);
}

function sameListener(a: SiteListener, b: SiteListener): boolean {
  return (
    a.proxy === b.proxy &&
    a.made.listener?.version === b.made.listener?.version &&
    sameJson(a.made.routes, b.made.routes) &&
    sameJson([...a.reports], [...b.reports])
  );
}
