// The endpoints of all Consul Upstreams, live. Yields whole sets, each when it changes; while Consul is away it yields nothing, and what
// was known stays. How services are read is reads.ts's business; which instances an Upstream means is instances.ts's.
import { isIP } from "node:net";
import { Latest } from "../../lib/latest.ts";
import { MassDeleteGuard } from "../../lib/mass-delete-guard.ts";
import { Names } from "../../lib/names.ts";
import type { ResourceKey } from "../../model/ref.ts";
import type { Spec } from "../../model/resource.ts";
import { dataCentreKey } from "../../plugin/subsets.ts";
import type { EdgeContext, EndpointUpdate, TypedUpstream, UpstreamWatch } from "../../plugin/upstream-type.ts";
import type { ConsulClient } from "./client.ts";
import { ConsulError } from "./consulError.ts";
import { followDataCentres } from "./dataCentres.ts";
import { endpointsOf, type Instance } from "./instances.ts";
import { type ServiceQuery, serviceQuery } from "./queries.ts";
import { Reads } from "./reads.ts";
import { lookUpAt } from "./resolver.ts";
import { connect, Faults, holdMs, milliseconds, waitMs } from "./session.ts";
import type { Read } from "./watch.ts";

export interface EndpointsTuning {
  readonly holdMs?: number;
  readonly fewAtMost?: number;
}

type ConsulUpstream = TypedUpstream<"consul">;

export async function* consulEndpoints(
  upstreams: UpstreamWatch<ConsulUpstream>,
  context: EdgeContext,
  tuning: EndpointsTuning = {},
): AsyncGenerator<EndpointUpdate> {
  const client = connect(context);
  if (client === undefined) return;
  // Also ended when the reader stops early.
  const ended = new AbortController();
  const signal = AbortSignal.any([context.signal, ended.signal]);
  const updates = new Latest<ResourceKey, EndpointUpdate>(signal);
  const known = new Known(client, context, signal, updates, tuning);
  try {
    void known.follow(upstreams).catch((error: unknown) => {
      if (!signal.aborted) context.log.error({ error: String(error) }, "Consul: a fault of ours; endpoints stay as they are");
    });
    yield* updates;
  } finally {
    ended.abort();
    client[Symbol.dispose]();
  }
}

/** One service in one data centre. */
interface Service {
  readonly query: ServiceQuery;
  readonly users: Set<ResourceKey>;
  readonly guard: MassDeleteGuard;
  /** Undefined until it has been read. */
  instances: readonly Instance[] | undefined;
  hasFailed: boolean;
}

/** What is known of Consul's services, and who wants to know it. */
class Known {
  readonly #context: EdgeContext;
  readonly #settings: NonNullable<Spec<"Settings">["consul"]>;
  readonly #signal: AbortSignal;
  readonly #client: ConsulClient;
  readonly #updates: Latest<ResourceKey, EndpointUpdate>;
  readonly #tuning: EndpointsTuning;
  readonly #faults: Faults;
  readonly #reads: Reads;
  readonly #names: Names;
  readonly #services = new Map<string, Service>();
  #upstreams: ReadonlyMap<ResourceKey, ConsulUpstream> = new Map();
  #dataCentres: readonly string[] = [];

  constructor(
    client: ConsulClient,
    context: EdgeContext,
    signal: AbortSignal,
    updates: Latest<ResourceKey, EndpointUpdate>,
    tuning: EndpointsTuning,
  ) {
    this.#client = client;
    this.#context = context;
    this.#settings = context.settings().consul as NonNullable<Spec<"Settings">["consul"]>;
    this.#signal = signal;
    this.#updates = updates;
    this.#tuning = tuning;
    this.#faults = new Faults(client.address, "endpoints stay as they are", context);
    this.#reads = new Reads({
      client,
      signal,
      waitMs: waitMs(this.#settings),
      ...(tuning.fewAtMost !== undefined && { fewAtMost: tuning.fewAtMost }),
      onRead: (query, read) => this.#take(query, read),
      onFault: (query, fault) => {
        this.#faults.note(query.key, fault, query.dataCentre);
        if (fault) this.#noteFailed(query);
      },
      isHeld: ({ key }) => this.#services.get(key)?.guard.isHolding ?? false,
    });
    this.#names = new Names({
      lookUp: lookUpAt(this.#settings.dnsAddress || "127.0.0.1:8600"),
      everyMs: () => Math.max(100, milliseconds(this.#settings.dnsPollingInterval) ?? 5000),
      signal,
      onChange: (name) => this.#nameChanged(name),
      onFault: (name, fault) => this.#faults.noteName(name, fault),
    });
  }

  async follow(upstreams: UpstreamWatch<ConsulUpstream>): Promise<void> {
    await Promise.all([this.#followUpstreams(upstreams), this.#followDataCentres()]);
  }

  async #followUpstreams(upstreams: UpstreamWatch<ConsulUpstream>): Promise<void> {
    for await (const list of upstreams) {
      if (this.#signal.aborted) return;
      const before = this.#upstreams;
      this.#upstreams = new Map(list.map((upstream) => [upstream.key, upstream]));
      for (const key of before.keys()) if (!this.#upstreams.has(key)) this.#updates.drop(key);
      this.#ask();
      for (const [key, { spec }] of this.#upstreams) if (before.get(key)?.spec !== spec) this.#tell(key);
    }
  }

  async #followDataCentres(): Promise<void> {
    const onFault = (fault: Error | undefined) => this.#faults.note("data centres", fault);
    const allowed = this.#settings.serviceDiscovery?.dataCenters ?? [];
    for await (const list of followDataCentres(this.#client, allowed, { signal: this.#signal, onFault })) {
      this.#dataCentres = list;
      this.#ask();
      for (const key of this.#upstreams.keys()) this.#tell(key);
    }
  }

  /** Brings the questions in line with the Upstreams. */
  #ask(): void {
    const users = new Map<string, { readonly query: ServiceQuery; readonly users: Set<ResourceKey> }>();
    for (const [key, { spec }] of this.#upstreams) {
      for (const query of this.#queriesOf(spec)) {
        const entry = users.get(query.key);
        if (entry) entry.users.add(key);
        else users.set(query.key, { query, users: new Set([key]) });
      }
    }
    for (const key of this.#services.keys()) {
      if (users.has(key)) continue;
      this.#services.delete(key);
      this.#faults.note(key, undefined);
    }
    for (const [key, { query, users: its }] of users) {
      const service = this.#services.get(key);
      if (service) {
        service.users.clear();
        for (const user of its) service.users.add(user);
        continue;
      }
      const guard = new MassDeleteGuard({ holdMs: this.#tuning.holdMs ?? holdMs, atLeast: 1, isReplaceable: true });
      this.#services.set(key, { query, users: its, guard, instances: undefined, hasFailed: false });
    }
    this.#reads.set(new Map([...users].map(([key, { query }]) => [key, query])));
  }

  #queriesOf(spec: ConsulUpstream["spec"]): ServiceQuery[] {
    const wanted = spec.dataCenters.length === 0 ? this.#dataCentres : this.#dataCentres.filter((each) => spec.dataCenters.includes(each));
    return wanted.map((dataCentre) => serviceQuery(spec, dataCentre));
  }

  #take({ key, service: name }: ServiceQuery, { value, isSuspect, isFiltered }: Read<readonly Instance[]>): void {
    const service = this.#services.get(key);
    if (service === undefined) return;
    this.#faults.note(key, isFiltered ? new ConsulError("denied", "hides instances from our token") : undefined);
    // Hidden is not gone.
    if (isFiltered && value.length === 0) return;
    const wasHeld = service.guard.isHolding;
    const before = service.instances ? addresses(service.instances) : this.#inService(service, value);
    if (!service.guard.believes(before, addresses(value), isSuspect || service.instances === undefined)) {
      if (!wasHeld) {
        this.#context.log.warn(
          { service: name, had: before.size, has: value.length },
          "Consul lost instances in an outage; they are kept until it says so for a while",
        );
      }
      return;
    }
    if (service.instances && JSON.stringify(service.instances) === JSON.stringify(value)) return;
    const hadNames = service.instances?.some(isNamed);
    service.instances = value;
    if (hadNames || value.some(isNamed)) this.#names.want(this.#namesInUse());
    for (const user of service.users) this.#tell(user);
  }

  /** Before the first read: what proxies have, where Consul says that there is nothing. Any other first answer is as good as none. */
  #inService({ query, users }: Service, first: readonly Instance[]): Set<string> {
    if (first.length > 0) return new Set();
    const key = dataCentreKey(query.dataCentre);
    const all = [...users].flatMap((user) => this.#context.endpointsInService?.(user) ?? []);
    return new Set(all.filter(({ labels }) => labels?.[key] !== "0").map(({ address, port }) => `${address} ${port}`));
  }

  /** A data centre that cannot be reached at the start does not keep the others waiting. */
  #noteFailed({ key }: ServiceQuery): void {
    const service = this.#services.get(key);
    if (service === undefined || service.hasFailed) return;
    service.hasFailed = true;
    for (const user of service.users) this.#tell(user);
  }

  #nameChanged(name: string): void {
    for (const { instances, users } of this.#services.values())
      if (instances?.some(({ address }) => address === name)) for (const user of users) this.#tell(user);
  }

  #namesInUse(): Set<string> {
    return new Set([...this.#services.values()].flatMap(({ instances }) => instances?.filter(isNamed).map(({ address }) => address) ?? []));
  }

  /** Yields the endpoints of an Upstream, if all is known that they are made of. */
  #tell(key: ResourceKey): void {
    const upstream = this.#upstreams.get(key);
    if (upstream === undefined) return;
    const services = this.#queriesOf(upstream.spec).flatMap((query) => this.#services.get(query.key) ?? []);
    const isComplete = services.every(({ instances, hasFailed }) => instances !== undefined || hasFailed);
    const isKnown = services.some(({ instances }) => instances !== undefined);
    // An Upstream may name data centres that are not there, or not allowed; then there is nothing to wait for.
    const hasNowhere = services.length === 0 && this.#dataCentres.length > 0;
    if (!isComplete || !(isKnown || hasNowhere)) return;
    const isResolved = services.every(({ instances = [] }) =>
      instances.every((each) => !isNamed(each) || this.#names.addressesOf(each.address) !== undefined),
    );
    if (!isResolved) return;
    const dataCentres = services.map(({ query, instances = [] }) => ({ name: query.dataCentre, instances }));
    const endpoints = endpointsOf(upstream.spec, dataCentres, (name) => this.#names.addressesOf(name) ?? []);
    this.#updates.put(key, { key, endpoints });
  }
}

function isNamed({ address }: Instance): boolean {
  return isIP(address) === 0;
}

function addresses(instances: readonly Instance[] = []): Set<string> {
  return new Set(instances.map(({ address, port }) => `${address} ${port}`));
}
