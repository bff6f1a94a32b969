// What a set of resources comes to, from scratch, without the graph: the stages called one after the other, everything computed
// once. It shows in one place how the pure functions fit together, and it is what the incremental flow must equal.
import { clusterName } from "../../src/envoy/names.ts";
import { worldOf } from "../../src/lib/testing/world.ts";
import type { EnvoyResource } from "../../src/model/envoy-resource.ts";
import type { HttpPart } from "../../src/model/gateway-part.ts";
import type { Problem } from "../../src/model/problem.ts";
import { parseResourceKey, type Ref, type ResourceKey } from "../../src/model/ref.ts";
import type { Kind, Resource } from "../../src/model/resource.ts";
import type { Status } from "../../src/model/status.ts";
import type { Plugins } from "../../src/plugin/plugins.ts";
import type { World } from "../../src/plugin/world.ts";
import { claimedDomains, gatewayDomainProblems, judgeDomains, sharedDomains } from "../../src/routing/domains.ts";
import { controlNamespace, defaultGateway, isRead, partsOf, proxiesOf } from "../../src/routing/gateways.ts";
import { checkSelection, selectsInto } from "../../src/routing/selection.ts";
import { virtualHostOf } from "../../src/routing/virtual-host.ts";
import { statusOf } from "../../src/status/status.ts";
import { type ClusterTranslation, clusterOf } from "../../src/translate/clusters.ts";
import { endpointsOf } from "../../src/translate/endpoints.ts";
import { fallbackResources } from "../../src/translate/fallback.ts";
import { type AttachedPart, listenerOf } from "../../src/translate/listener.ts";
import { hostBlock, routeConfiguration } from "../../src/translate/route-configuration.ts";
import { type EncodedVirtualHost, envoyVirtualHost } from "../../src/translate/virtual-host.ts";
import { inMemoryUpstreams } from "../../src/upstreams/kube/service.ts";
import { judgePorts } from "../../src/validate/ports.ts";
import { upstreamGroupProblems } from "../../src/validate/upstream-group.ts";

export interface Assembled {
  readonly statuses: ReadonlyMap<ResourceKey, Status>;
  readonly problems: readonly Problem[];
  readonly proxies: ReadonlyMap<string, readonly EnvoyResource[]>;
}

export function assemble(given: World, plugins: Plugins): Assembled {
  const world = withImagined(given);
  const own = new Map<ResourceKey, Problem[]>();
  const perProxy = new Map<ResourceKey, Map<string, Problem[]>>();
  const all: Problem[] = [];
  const note = (problems: readonly Problem[], proxy?: string) => {
    for (const problem of problems) {
      all.push(problem);
      if (problem.resource === undefined) continue;
      if (proxy === undefined) listIn(own, problem.resource).push(problem);
      else listIn(mapIn(perProxy, problem.resource), proxy).push(problem);
    }
  };
  const shared = new Map<string, ClusterTranslation>();
  const clusters: EnvoyResource[] = [];
  for (const upstream of world.list("Upstream")) {
    if (!isImagined(upstream)) own.set(upstream.key, [...upstream.problems]);
    const made = clusterOf(upstream, world, plugins);
    shared.set(clusterName(upstream.ref), made);
    const { endpoints, problems } = endpointsOf(upstream, world, plugins);
    // Nobody wrote the imagined ones, so nobody is told.
    if (!isImagined(upstream)) note([...made.problems, ...problems]);
    clusters.push(...(made.cluster ? [made.cluster, ...made.extras] : []), ...(made.cluster && endpoints ? [endpoints] : []));
  }
  const hasCluster = (ref: Ref) => shared.get(clusterName(ref))?.cluster !== undefined;
  for (const group of world.list("UpstreamGroup")) {
    own.set(group.key, [...group.problems]);
    note(upstreamGroupProblems(group, world));
  }
  const virtualServices = world.list("VirtualService");
  for (const each of [...virtualServices, ...world.list("RouteTable")]) own.set(each.key, [...each.problems]);
  const written = world.list("Gateway").filter(({ ref }) => isRead(ref, world.settings));
  for (const each of written) own.set(each.key, [...each.problems]);
  const gateways = written.length > 0 ? written : [defaultGateway(world.settings)];
  const proxies = new Map<string, EnvoyResource[]>();
  for (const gateway of gateways) for (const name of proxiesOf(gateway.spec!)) proxies.set(name, [...clusters]);
  for (const [proxyName, resources] of proxies) {
    const proxy = `${proxyName}_${controlNamespace(world.settings)}`;
    const mine = gateways.filter(({ spec }) => spec && proxiesOf(spec).includes(proxyName));
    const ports = judgePorts(mine);
    let usesFallback = false;
    for (const gateway of mine) {
      note(ports.problems.get(gateway.key) ?? []);
      const { parts, report } = partsOf(gateway, world);
      note(report.problems);
      const encodedIn = (part: HttpPart, host: Resource<"VirtualService">, hosts: readonly Resource<"VirtualService">[]) => {
        const routed = virtualHostOf(gateway, proxyName, host, world);
        if (!routed.host) return { routed };
        const verdict = judgeDomains(host, (domain) => hosts.filter((each) => claimedDomains(each).includes(domain)));
        const made = envoyVirtualHost(routed.host, {
          world,
          plugins,
          hasCluster,
          requireTls: part.takesTls,
          lostDomains: verdict.lost,
          ...(part.http.options && { http: part.http.options }),
          ...(gateway.spec?.routeOptions?.maxDirectResponseBodySizeBytes !== undefined && {
            maxDirectResponseBytes: gateway.spec.routeOptions.maxDirectResponseBodySizeBytes,
          }),
        });
        return { routed, verdict, made };
      };
      const attached = parts.map((part): { readonly attached: AttachedPart; readonly hosts: readonly Resource<"VirtualService">[] } => {
        if (part.kind === "tcp") return { attached: { part, hosts: [] }, hosts: [] };
        checkSelection(part, world, report);
        const hosts = virtualServices.filter((each) => selectsInto(part, each));
        const served = hosts.filter((each) => each.spec);
        return {
          hosts,
          attached: {
            part,
            hosts: served.map(({ key, spec }) => ({ resource: key, ...(spec?.sslConfig && { ssl: spec.sslConfig }) })),
            configures: (filter) => served.some((each) => encodedIn(part, each, hosts).made?.configured?.includes(filter)),
          },
        };
      });
      note(report.problems.filter((each) => !own.get(gateway.key)?.includes(each)));
      const listener = listenerOf(
        gateway,
        attached.map((each) => each.attached),
        { world, plugins, hasCluster, hasVirtualServices: virtualServices.length > 0 },
      );
      note(listener.problems, proxy);
      if (!ports.served.has(gateway.key)) continue;
      if (listener.listener) resources.push(listener.listener, ...listener.extras);
      for (const [
        i,
        {
          attached: { part },
          hosts,
        },
      ] of attached.entries()) {
        if (part.kind !== "http") continue;
        note(gatewayDomainProblems(gateway, sharedDomains(hosts)));
        const encoded = new Map<ResourceKey, EncodedVirtualHost>();
        for (const host of hosts) {
          const { routed, verdict, made } = encodedIn(part, host, hosts);
          for (const problems of routed.reports.values()) note(problems);
          if (!made) continue;
          note(verdict.problems);
          note(made.problems, proxy);
          usesFallback ||= made.usesFallback;
          encoded.set(host.key, made);
        }
        for (const plan of listener.routes.filter((each) => each.part === i)) {
          const served = plan.hosts.flatMap((key) => encoded.get(key) ?? []);
          resources.push(routeConfiguration(plan.name, gateway.spec?.routeOptions, [hostBlock(served)], gateway.key));
        }
      }
    }
    if (usesFallback) resources.push(...fallbackResources(world.settings));
  }
  const statuses = new Map<ResourceKey, Status>();
  for (const [key, problems] of own) statuses.set(key, statusOf(problems, perProxy.get(key), parseResourceKey(key).kind as Kind));
  return { statuses, problems: all, proxies };
}

/** With the Upstreams that every Service is, which nobody writes. */
function withImagined(world: World): World {
  const settings = world.settings;
  const imagined = settings.gloo?.disableKubernetesDestinations
    ? []
    : world.list("Service").flatMap((service) => inMemoryUpstreams(service, settings.upstreamOptions?.globalAnnotations));
  const others = worldOf(imagined);
  return {
    settings,
    get: (kind, ref) => world.get(kind, ref) ?? others.get(kind, ref),
    list: (kind, namespace) => [...world.list(kind, namespace), ...others.list(kind, namespace)],
  };
}

const isImagined = (upstream: Resource<"Upstream">): boolean => upstream.ref.name.includes(":");

function listIn<K>(map: Map<K, Problem[]>, key: K): Problem[] {
  const list = map.get(key) ?? [];
  map.set(key, list);
  return list;
}

function mapIn<K>(maps: Map<K, Map<string, Problem[]>>, key: K): Map<string, Problem[]> {
  const map = maps.get(key) ?? new Map<string, Problem[]>();
  maps.set(key, map);
  return map;
}
