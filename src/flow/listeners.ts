// Gateways with what is attached to them → listeners, and route configurations put together from encoded virtual hosts.
import { equals } from "@bufbuild/protobuf";
import { type SslConfig, SslConfigSchema } from "../gen/gloo/gloo/projects/gloo/api/v1/ssl/ssl_pb.js";
import type { Collection, Graph, Index, Read, Single } from "../graph/mod.ts";
import type { EnvoyResource, ProxyKey } from "../model/envoy-resource.ts";
import { placed } from "../model/gateway-part.ts";
import type { Problem } from "../model/problem.ts";
import { type ResourceKey, resourceKey } from "../model/ref.ts";
import type { Resource } from "../model/resource.ts";
import type { World } from "../plugin/world.ts";
import { gatewayDomainProblems, sharedDomains } from "../routing/domains.ts";
import { controlNamespace, partsOf, proxiesOf } from "../routing/gateways.ts";
import { checkSelection } from "../routing/selection.ts";
import { fallbackResources } from "../translate/fallback.ts";
import { type AttachedPart, type ListenerTranslation, listenerName, listenerOf } from "../translate/listener.ts";
import { routeConfiguration } from "../translate/route-configuration.ts";
import { judgePorts, type PortVerdict } from "../validate/ports.ts";
import { blocksOf, hostShards } from "./host-shards.ts";
import { configuredKey, type Hosts, siteOf } from "./hosts.ts";
import { type Inputs, sameJson } from "./inputs.ts";
import { type Made, type Replaced, type Reports, withLastGood } from "./last-good.ts";
import type { Making } from "./making.ts";
import { hasCluster, sameEnvoyResource, sameVersions, type Upstreams } from "./upstreams.ts";
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
  /** Of the version in service. */
  readonly port: number;
  /** The version in service is the newest. */
  readonly isNewest: boolean;
  /** Discovered Upstreams that it leads to. */
  readonly uses: readonly ResourceKey[];
}

export interface SiteRoutes {
  readonly proxy: ProxyKey;
  readonly resource: EnvoyResource;
  /** A route leads to the fallback for invalid ones. */
  readonly usesFallback: boolean;
}

/** What a proxy needs besides what its Gateways ask for. */
export interface ProxyExtras {
  readonly proxy: ProxyKey;
  readonly resources: readonly EnvoyResource[];
}

export interface Listeners {
  readonly sites: Collection<Site>;
  readonly listeners: Collection<SiteListener>;
  readonly listenersByOwner: Index<SiteListener>;
  readonly listenersByUse: Index<SiteListener>;
  /** Those of them that have their port; by proxy and port. */
  readonly bound: Collection<SiteListener>;
  /** What they bring with them, by proxy and name: several may bring the same, which stays until the last of them goes. */
  readonly brought: Collection<Brought>;
  readonly routes: Collection<SiteRoutes>;
  readonly extras: Collection<ProxyExtras>;
}

/** A cluster that a feature of a listener needs. */
export interface Brought {
  readonly proxy: ProxyKey;
  readonly resource: EnvoyResource;
}

export function listenersFlow(
  graph: Graph,
  inputs: Inputs,
  known: InService,
  upstreams: Upstreams,
  hosts: Hosts,
  making: Making,
): Listeners {
  const sites = graph.deriveMany(
    "sites",
    hosts.gateways,
    (gateways) =>
      gateways.flatMap((gateway) => proxiesOfResource(gateway).map((proxy) => [`${proxy} ${gateway.key}`, { proxy, gateway }] as const)),
    { equals: (a, b) => a.gateway === b.gateway },
  );
  const sitesByProxy = sites.index("by proxy", (site) => [site.proxy]);
  const portVerdicts = graph.deriveGroups("ports", sitesByProxy, (_proxy, its) =>
    judgePorts(its.map(([, { gateway }]) => gateway).filter(hasType)),
  );
  // Apart from the rest of a VirtualService: an edited route must not set up the TLS of all its neighbours again.
  const tls = graph.derive("TLS of virtual services", known.of.VirtualService, ({ spec }) => spec?.sslConfig, { equals: sameSsl });
  const anyHosts = graph.value("any virtual services", (read) => read.size(known.of.VirtualService) > 0);
  const listeners = graph.derive(
    "listeners",
    sites,
    (site, _key, read) => siteListener(site, read, inputs, known, upstreams, hosts, anyHosts, tls, portVerdicts, making),
    {
      equals: sameListener,
    },
  );
  // A Gateway whose newest version is no good falls back to one that had, perhaps, a port which another has taken since.
  const bound = graph.deriveGroups(
    "bound listeners",
    listeners.index("by port", ({ proxy, port, made }) => (made.listener ? [`${proxy} ${port}`] : [])),
    (_port, its) => (its.find(([, { isNewest }]) => isNewest) ?? its[0])?.[1],
    { equals: sameListener },
  );
  const brought = graph.deriveMany(
    "extras of listeners",
    bound,
    ({ proxy, made }) => made.extras.map((resource) => [`${proxy} ${resource.typeUrl} ${resource.name}`, { proxy, resource }] as const),
    { equals: (a, b) => sameEnvoyResource(a.resource, b.resource) },
  );
  const plans = graph.deriveMany(
    "route configuration plans",
    bound,
    (listener) => listener.made.routes.map((plan) => [`${listener.proxy} ${plan.name}`, { listener, plan }] as const),
    { equals: (a, b) => sameJson([a.plan, a.listener.gateway], [b.plan, b.listener.gateway]) },
  );
  const shards = hostShards(graph, hosts.hosts);
  const routes = graph.derive(
    "route configurations",
    plans,
    ({ listener, plan }, _key, read): SiteRoutes => {
      const site = siteOf({ proxy: listener.proxyName, gateway: listener.gateway, part: plan.part });
      const blocks = blocksOf(read, site, plan.hosts, hosts, shards);
      const options = read.get(known.of.Gateway, listener.gateway)?.spec?.routeOptions;
      return {
        proxy: listener.proxy,
        resource: routeConfiguration(plan.name, options, blocks, listener.gateway),
        usesFallback: blocks.some((block) => block.usesFallback),
      };
    },
    { equals: (a, b) => sameEnvoyResource(a.resource, b.resource) && a.usesFallback === b.usesFallback },
  );
  const extras = graph.deriveGroups(
    "extras of proxies",
    routes.index("by proxy", (each) => [each.proxy]),
    (_proxy, its, read): ProxyExtras | undefined => {
      const [first] = its;
      if (first === undefined || !its.some(([, each]) => each.usesFallback)) return undefined;
      return { proxy: first[1].proxy, resources: fallbackResources(read.value(known.settings)) };
    },
    { equals: (a, b) => sameVersions(a.resources, b.resources) },
  );
  return {
    sites,
    listeners,
    listenersByOwner: listeners.index("by owner", (listener) => listener.reports.keys()),
    listenersByUse: listeners.index("by use", ({ uses }) => uses),
    bound,
    brought,
    routes,
    extras,
  };
}

function siteListener(
  { proxy, gateway }: Site,
  read: Read,
  inputs: Inputs,
  known: InService,
  upstreams: Upstreams,
  hosts: Hosts,
  anyHosts: Single<boolean>,
  tls: Collection<SslConfig>,
  portVerdicts: Collection<PortVerdict>,
  making: Making,
): SiteListener {
  const uses = new Set<ResourceKey>();
  const world = worldOf(read, known, uses);
  let used = gateway;
  const made = withLastGood<ListenerTranslation>(read, inputs, world, {
    owner: gateway.key,
    nothing: nothing(gateway),
    make: (version, inUse, replaced) => {
      const resource = inUse(gateway);
      if (resource === undefined) return { made: nothing(gateway), reports: reportsOf(gateway.key, [], []) };
      used = resource;
      const { parts, report } = partsOf(resource, version);
      for (const part of parts) if (part.kind === "http") checkSelection(part, version, report);
      const attached = parts.map((part, i): AttachedPart => {
        if (part.kind !== "http") return { part, hosts: [] };
        const site = siteOf({ proxy, gateway: gateway.key, part: i });
        const virtualServices = read.lookup(hosts.attachmentsBySite, site);
        return {
          part,
          configures: (filter) => read.has(hosts.configured, configuredKey(site, filter)),
          hosts: virtualServices.map(([, { virtualService }]) => {
            const ssl = part.takesTls ? sslOf(virtualService, read, tls, replaced) : undefined;
            return { resource: virtualService, ...(ssl && { ssl }) };
          }),
        };
      });
      // Whoever brings TLS takes part in the listener: Envoy may refuse it for that.
      const withTls = attached.flatMap(({ part, hosts: its }) =>
        part.kind === "http" && part.takesTls ? its.map((each) => each.resource) : [],
      );
      const domains = parts.flatMap((_, i) => conflictsAt(read, hosts, known, siteOf({ proxy, gateway: gateway.key, part: i })));
      const ports = read.get(portVerdicts, proxy);
      const found = [
        ...report.problems,
        ...gatewayDomainProblems(resource, [...new Set(domains)]),
        ...(ports?.problems.get(gateway.key) ?? []),
      ];
      if (ports?.served.has(gateway.key) === false) return { made: nothing(resource), reports: reportsOf(gateway.key, withTls, found) };
      const translated = listenerOf(resource, attached, {
        world: version,
        plugins: making,
        secretsApart: making.secretsApart,
        hasCluster: (ref) => hasCluster(read, upstreams, resourceKey("Upstream", ref)),
        hasVirtualServices: read.value(anyHosts),
      });
      return { made: translated, reports: reportsOf(gateway.key, withTls, [...found, ...translated.problems]) };
    },
    sent: ({ listener }) => (listener ? [listener] : []),
  });
  return {
    proxy: proxyKey(world, proxy),
    proxyName: proxy,
    gateway: gateway.key,
    port: used.spec?.bindPort ?? 0,
    isNewest: used.version === gateway.version,
    uses: [...uses].sort(),
    ...made,
  };
}

function nothing(gateway: Resource<"Gateway">): ListenerTranslation {
  return { name: listenerName(gateway), routes: [], extras: [], problems: [] };
}

function proxiesOfResource({ spec }: Resource<"Gateway">): readonly string[] {
  return spec === undefined ? [] : proxiesOf(spec);
}

export function proxyKey(world: Pick<World, "settings">, proxy: string): ProxyKey {
  return `${controlNamespace(world.settings)}~${proxy}`;
}

/** A Gateway without a type opens no port. */
function hasType({ spec }: Resource<"Gateway">): boolean {
  return spec?.GatewayType.case !== undefined;
}

/** The domains of a site that are claimed more than once, as they are written. */
function conflictsAt(read: Read, hosts: Hosts, known: InService, site: string): readonly string[] {
  const keys = new Set(read.lookup(hosts.sharedDomainsBySite, site).flatMap(([, { virtualServices }]) => virtualServices));
  return sharedDomains([...keys].map((key) => read.get(known.of.VirtualService, key)).filter((each) => each !== undefined));
}

function sslOf(key: ResourceKey, read: Read, tls: Collection<SslConfig>, replaced: Replaced): SslConfig | undefined {
  return replaced.has(key) ? (replaced.get(key) as Resource<"VirtualService"> | undefined)?.spec?.sslConfig : read.get(tls, key);
}

function sameSsl(a: SslConfig, b: SslConfig): boolean {
  return equals(SslConfigSchema, a, b);
}

function reportsOf(gateway: ResourceKey, others: readonly ResourceKey[], problems: readonly Problem[]): Reports {
  const reports = new Map<ResourceKey, Problem[]>([[gateway, []]]);
  for (const other of others) reports.set(other, []);
  for (const each of problems.flatMap(placed)) {
    const key = each.resource ?? gateway;
    const own = reports.get(key);
    if (own === undefined) reports.set(key, [each]);
    else own.push(each);
  }
  return reports;
}

function sameListener(a: SiteListener, b: SiteListener): boolean {
  return (
    a.proxy === b.proxy &&
    a.gateway === b.gateway &&
    a.port === b.port &&
    a.isNewest === b.isNewest &&
    sameEnvoyResource(a.made.listener, b.made.listener) &&
    sameVersions(a.made.extras, b.made.extras) &&
    sameJson([a.made.routes, a.uses], [b.made.routes, b.uses]) &&
    sameJson([...a.reports], [...b.reports])
  );
}
