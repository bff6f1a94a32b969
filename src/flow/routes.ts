// The routing half of the flow: Gateways and VirtualServices → virtual hosts → route configurations and listeners.
import type { Collection, Graph, Index, Read } from "../graph/mod.ts";
import type { ProxyKey } from "../model/envoy-resource.ts";
import type { Problem } from "../model/problem.ts";
import type { Resource } from "../model/resource.ts";
import { controlNamespace } from "../routing/gateways.ts";
import { gatewayNotRead, notServed } from "../routing/unserved.ts";
import { upstreamGroupProblems } from "../validate/upstream-group.ts";
import { type Hosts, hostsFlow, type SiteHost } from "./hosts.ts";
import type { Inputs } from "./inputs.ts";
import type { Contribution, Contributor, SentOf } from "./judgements.ts";
import type { Made } from "./last-good.ts";
import { type Brought, listenersFlow, type ProxyExtras, type SiteListener, type SiteRoutes } from "./listeners.ts";
import type { Making } from "./making.ts";
import type { Outlet } from "./publisher.ts";
import type { Upstreams } from "./upstreams.ts";
import { type InService, worldOf } from "./world.ts";

export interface Routes {
  readonly outlets: readonly Outlet[];
  readonly proxies: () => Iterable<ProxyKey>;
  readonly contributors: readonly Contributor[];
  /** What leads to discovered Upstreams, by their keys. */
  readonly users: readonly Index<unknown>[];
  /** Everything that may have met a fault. */
  readonly made: readonly Collection<Made<unknown>>[];
  /** The listeners and route configurations that a Gateway has a part in. */
  readonly sentOf: SentOf;
  readonly hosts: Collection<SiteHost>;
}

export function routesFlow(graph: Graph, inputs: Inputs, known: InService, upstreams: Upstreams, making: Making): Routes {
  const hosts = hostsFlow(graph, inputs, known, upstreams, making);
  const { listeners, listenersByOwner, listenersByUse, bound, brought, routes, extras } = listenersFlow(
    graph,
    inputs,
    known,
    upstreams,
    hosts,
    making,
  );
  const proxies = graph.value("proxies", (read) => [...new Set(read.list(listeners).map(([, listener]) => listener.proxy))]);
  const aboutHosts: Contributor = (resource, read) =>
    read
      .lookup(hosts.hostsByOwner, resource.key)
      .flatMap(([, host]): Contribution[] => [
        { problems: host.reports.get(resource.key) ?? [], proxy: proxySubresource(host.attachment.proxy, read, known) },
        ...(host.unmatched.length > 0 && !resource.isStale
          ? [{ problems: host.unmatched.filter((each) => each.resource === resource.key), leavesStatus: true as const }]
          : []),
      ]);
  const aboutListeners: Contributor = (resource, read) =>
    read.lookup(listenersByOwner, resource.key).map(([, listener]) => ({
      problems: listener.reports.get(resource.key) ?? [],
      proxy: proxySubresource(listener.proxyName, read, known),
    }));
  const aboutGroups: Contributor = (resource, read) =>
    resource.kind === "UpstreamGroup"
      ? [{ problems: upstreamGroupProblems(resource as Resource<"UpstreamGroup">, worldOf(read, known)) }]
      : [];
  const aboutIdle: Contributor = (resource, read) => {
    const found = idleProblem(resource, read, hosts, known);
    return found ? [{ problems: [found], leavesStatus: true }] : [];
  };
  const sentOf: SentOf = ({ kind, key }, read) =>
    kind !== "Gateway"
      ? []
      : read.lookup(listenersByOwner, key).flatMap(([, { proxy, made }]) => {
          const configurations = made.routes.flatMap(({ name }) => read.get(routes, `${proxy} ${name}`)?.resource ?? []);
          return made.listener ? [made.listener, ...configurations] : configurations;
        });
  return {
    made: [hosts.hosts, listeners],
    users: [hosts.hostsByUse, listenersByUse],
    sentOf,
    hosts: hosts.hosts,
    outlets: [
      {
        collection: bound,
        resources: ({ made }: SiteListener) => (made.listener ? [made.listener] : []),
        proxy: (each: SiteListener) => each.proxy,
      },
      { collection: brought, resources: ({ resource }: Brought) => [resource], proxy: (each: Brought) => each.proxy },
      { collection: routes, resources: ({ resource }: SiteRoutes) => [resource], proxy: (each: SiteRoutes) => each.proxy },
      { collection: extras, resources: (each: ProxyExtras) => each.resources, proxy: (each: ProxyExtras) => each.proxy },
    ] as unknown as readonly Outlet[],
    proxies: () => proxies.value,
    contributors: [aboutHosts, aboutListeners, aboutGroups, aboutIdle],
  };
}

/** Looks at the Gateways only for what is attached to none, so that a change of one does not judge every VirtualService again. */
function idleProblem(resource: Resource, read: Read, hosts: Hosts, known: InService): Problem | undefined {
  if (resource.kind === "Gateway") return gatewayNotRead(resource as Resource<"Gateway">, read.value(known.settings));
  if (resource.kind !== "VirtualService" || read.lookup(hosts.attachmentsByOwner, resource.key).length > 0) return undefined;
  return notServed(resource as Resource<"VirtualService">, read.value(hosts.gateways), worldOf(read, known));
}

function proxySubresource(proxy: string, read: Read, known: InService): string {
  return `${proxy}_${controlNamespace(read.value(known.settings))}`;
}
