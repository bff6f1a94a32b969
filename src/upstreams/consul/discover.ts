// Discovery of Upstreams: one for each service of Consul's catalog in the data centres that the Settings allow.
import { create } from "@bufbuild/protobuf";
import { ConsulConsistencyModes as Mode } from "../../gen/gloo/gloo/projects/gloo/api/v1/options/consul/query_options_pb.js";
import { UpstreamSchema } from "../../gen/gloo/gloo/projects/gloo/api/v1/upstream_pb.js";
import { Latest } from "../../lib/latest.ts";
import { MassDeleteGuard } from "../../lib/mass-delete-guard.ts";
import type { Spec } from "../../model/resource.ts";
import type { DiscoveredUpstream, EdgeContext } from "../../plugin/upstream-type.ts";
import { type Catalog, catalogOf, catalogPath } from "./catalog.ts";
import type { ConsulClient } from "./client.ts";
import { followDataCentres } from "./dataCentres.ts";
import { consistencyParameters } from "./queries.ts";
import { connect, Faults, holdMs, waitMs } from "./session.ts";
import { follow } from "./watch.ts";

type Settings = Spec<"Settings">;

export interface DiscoveryTuning {
  readonly holdMs?: number;
}

/** Yields the whole list each time it changes; nothing while Consul is away. */
export async function* discoverConsulServices(
  context: EdgeContext,
  tuning: DiscoveryTuning = {},
): AsyncGenerator<readonly DiscoveredUpstream[]> {
  if (context.settings().consul?.serviceDiscovery === undefined) {
    // There is no Consul, or none any more: this is an answer, unlike one that cannot be reached.
    yield [];
    return;
  }
  const client = connect(context);
  if (client === undefined) return;
  const ended = new AbortController();
  const signal = AbortSignal.any([context.signal, ended.signal]);
  const catalogs = new Latest<"catalogs", ReadonlyMap<string, Catalog>>(signal);
  try {
    void followCatalogs(client, context, signal, tuning, (all) => catalogs.put("catalogs", all)).catch((error: unknown) => {
      if (!signal.aborted) context.log.error({ error: String(error) }, "Consul: a fault of ours; discovered Upstreams stay as they are");
    });
    let made: Made = new Map();
    for await (const all of catalogs) {
      const next: Made = new Map();
      yield upstreamsOf(all, context.settings(), made, next);
      made = next;
    }
  } finally {
    ended.abort();
    client[Symbol.dispose]();
  }
}

/** Tells the catalogs of all data centres, once each has answered or failed. */
async function followCatalogs(
  client: ConsulClient,
  context: EdgeContext,
  signal: AbortSignal,
  tuning: DiscoveryTuning,
  onChange: (catalogs: ReadonlyMap<string, Catalog>) => void,
): Promise<void> {
  const settings = context.settings();
  const faults = new Faults(client.address, "discovered Upstreams stay as they are", context, (report) => {
    const { useTlsTagging, rootCa } = settings.consulDiscovery ?? {};
    if (!useTlsTagging || rootCa) return;
    report.error("ConsulRootCaMissing", "services with TLS are not discovered, because there is no root CA to verify them with", {
      path: "consulDiscovery.rootCa",
      hint: "name a Secret with the root CA",
      costs: "nothing",
    });
  });
  const following = new Map<string, AbortController>();
  const failed = new Set<string>();
  const catalogs = new Map<string, Catalog>();
  const tell = () => {
    const isComplete = [...following.keys()].every((name) => catalogs.has(name) || failed.has(name));
    if (isComplete && catalogs.size > 0) onChange(new Map([...catalogs].sort(([a], [b]) => (a < b ? -1 : 1))));
  };
  const followOne = async (dc: string, own: AbortSignal) => {
    const guard = new MassDeleteGuard({ holdMs: tuning.holdMs ?? holdMs, atLeast: 1 });
    const options = {
      signal: AbortSignal.any([signal, own]),
      parse: catalogOf,
      waitMs: waitMs(settings.consul as NonNullable<Settings["consul"]>),
      isImpatient: () => guard.isHolding,
      onFault: (fault: Error | undefined) => {
        faults.note(dc, fault, dc);
        if (fault && !failed.has(dc)) {
          failed.add(dc);
          tell();
        }
      },
    };
    const query = { dc, ...consistencyParameters(settings.consulDiscovery?.consistencyMode) };
    for await (const { value, isSuspect } of follow(client, catalogPath, query, options)) {
      const before = catalogs.get(dc);
      const wasHolding = guard.isHolding;
      if (!guard.believes(new Set(before?.keys()), new Set(value.keys()), isSuspect)) {
        if (!wasHolding)
          context.log.warn(
            { dataCentre: dc, had: before?.size, has: value.size },
            "Consul lost services in an outage; their Upstreams are kept until it says so for a while",
          );
        continue;
      }
      // Its index moves with every instance, the list seldom.
      if (before && JSON.stringify([...before]) === JSON.stringify([...value])) continue;
      catalogs.set(dc, value);
      tell();
    }
  };
  const onFault = (fault: Error | undefined) => faults.note("data centres", fault);
  for await (const list of followDataCentres(client, settings.consul?.serviceDiscovery?.dataCenters ?? [], { signal, onFault })) {
    for (const [name, controller] of following) {
      if (list.includes(name)) continue;
      following.delete(name);
      catalogs.delete(name);
      failed.delete(name);
      controller.abort();
    }
    for (const name of list) {
      if (following.has(name)) continue;
      const controller = new AbortController();
      following.set(name, controller);
      void followOne(name, controller.signal);
    }
    tell();
  }
}

/** By what a service is: one that is as it was is not made again. */
type Made = Map<string, readonly DiscoveredUpstream[]>;

/**
 * What Gloo's discovery writes for these catalogs, and the Upstreams that `consul` destinations of routes mean. What is in `before` is
 * taken from there (of the same Settings); `made` is given all.
 */
export function upstreamsOf(
  catalogs: ReadonlyMap<string, Catalog>,
  settings: Settings,
  before: Made = new Map(),
  made: Made = new Map(),
): readonly DiscoveredUpstream[] {
  const allowed = settings.consulDiscovery?.serviceTagsAllowlist ?? [];
  const namespace = settings.discoveryNamespace || "gloo-system";
  return servicesOf(catalogs)
    .filter(({ tags }) => allowed.length === 0 || tags.some((tag) => allowed.includes(tag)))
    .flatMap((service) => {
      const print = JSON.stringify(service);
      const upstreams = before.get(print) ?? discoveredOf(service, namespace, settings);
      made.set(print, upstreams);
      return upstreams;
    });
}

function discoveredOf(service: Service, namespace: string, settings: Settings): DiscoveredUpstream[] {
  return upstreamsOfService(service, settings).flatMap(({ name, spec }): DiscoveredUpstream[] => [
    { ref: { namespace, name }, labels: { discovered_by: "consulplugin" }, spec },
    { ref: { namespace: "gloo-system", name: `consul-svc:${name}` }, labels: {}, spec, isImplied: true },
  ]);
}

interface Service {
  readonly name: string;
  readonly tags: readonly string[];
  readonly dataCenters: readonly string[];
}

function servicesOf(catalogs: ReadonlyMap<string, Catalog>): Service[] {
  const services = new Map<string, { tags: Set<string>; dataCenters: string[] }>();
  for (const [dataCentre, catalog] of catalogs) {
    for (const [name, tags] of catalog) {
      // Such a name cannot be part of a reference. Consul itself warns of it: DNS cannot find it either.
      if (/[\s/]/.test(name)) continue;
      const service = services.get(name) ?? { tags: new Set(), dataCenters: [] };
      for (const tag of tags) service.tags.add(tag);
      service.dataCenters.push(dataCentre);
      services.set(name, service);
    }
  }
  return [...services]
    .map(([name, { tags, dataCenters }]) => ({ name, tags: [...tags].sort(), dataCenters: dataCenters.sort() }))
    .sort((a, b) => (a.name < b.name ? -1 : 1));
}

/** One Upstream, or two where instances with TLS are told apart by their tag. */
function upstreamsOfService(service: Service, settings: Settings): { readonly name: string; readonly spec: DiscoveredUpstream["spec"] }[] {
  const { useTlsTagging = false, tlsTagName = "", splitTlsServices = false, rootCa } = settings.consulDiscovery ?? {};
  const tlsTag = tlsTagName || "glooUseTls";
  if (!useTlsTagging || !service.tags.includes(tlsTag)) return [{ name: service.name, spec: upstream(service, settings) }];
  // Without a root CA nothing could be verified. No Upstream is better than one that pretends.
  const tls = rootCa && {
    sslConfig: { sslSecrets: { case: "secretRef" as const, value: { name: rootCa.name, namespace: rootCa.namespace } } },
  };
  const withTls = `${service.name}-tls`;
  if (!splitTlsServices) return tls ? [{ name: withTls, spec: upstream(service, settings, {}, tls) }] : [];
  return [
    { name: service.name, spec: upstream(service, settings, { instanceBlacklistTags: [tlsTag] }) },
    ...(tls ? [{ name: withTls, spec: upstream(service, settings, { instanceTags: [tlsTag] }, tls) }] : []),
  ];
}

function upstream({ name, tags, dataCenters }: Service, { consulDiscovery }: Settings, instances: object = {}, tls: object = {}) {
  return create(UpstreamSchema, {
    upstreamType: {
      case: "consul",
      value: {
        serviceName: name,
        serviceTags: [...tags],
        dataCenters: [...dataCenters],
        consistencyMode: consulDiscovery?.consistencyMode ?? Mode.DefaultMode,
        ...(consulDiscovery?.queryOptions && { queryOptions: consulDiscovery.queryOptions }),
        ...instances,
      },
    },
    ...tls,
  });
}
