// Hands what a batch changed to the consumers, proxy by proxy.
import type { BatchResult, Collection } from "../graph/mod.ts";
import {
  type EnvoyResource,
  type ProxyKey,
  type ResourceChanges,
  type ResourceConsumer,
  type TypeUrl,
  typeUrls,
} from "../model/envoy-resource.ts";
import type { Flow } from "./flow.ts";

/** A collection whose values send Envoy resources, to one proxy or (without `proxy`) to all. */
export interface Outlet<V = unknown> {
  readonly collection: Collection<V>;
  readonly resources: (value: V) => readonly EnvoyResource[];
  readonly proxy?: (value: V) => ProxyKey;
}

export interface Published {
  /** Everything that was sent, of all proxies. */
  readonly sent: readonly EnvoyResource[];
  readonly upserts: number;
  readonly removals: number;
  /** Where requests are taken may be another place than before. */
  readonly touchesListeners: boolean;
}

interface Counts {
  sent: EnvoyResource[];
  upserts: number;
  removals: number;
  touchesListeners: boolean;
}

const nothing = (): Counts => ({ sent: [], upserts: 0, removals: 0, touchesListeners: false });

export class Publisher {
  readonly #flow: Flow;
  readonly #consumers: readonly ResourceConsumer[];
  readonly #onFault: (fault: unknown) => void;
  readonly #proxies = new Set<ProxyKey>();

  /** `onFault`: a consumer threw, which none should. The others, and what it has, go on serving. */
  constructor(flow: Flow, consumers: readonly ResourceConsumer[], onFault: (fault: unknown) => void) {
    this.#flow = flow;
    this.#consumers = consumers;
    this.#onFault = onFault;
  }

  /** The whole set of every proxy. */
  publishAll(): Published {
    const counts = nothing();
    for (const proxy of this.#flow.proxies()) this.#send(proxy, { upserts: resourcesOfProxy(this.#flow, proxy), removals: [] }, counts);
    return counts;
  }

  /** What changed. A proxy that is new gets all, one that is gone is retired. */
  publish(result: BatchResult): Published {
    const counts = nothing();
    const proxies = new Set(this.#flow.proxies());
    for (const proxy of this.#proxies) {
      if (proxies.has(proxy)) continue;
      this.#proxies.delete(proxy);
      counts.touchesListeners = true;
      this.#each((consumer) => consumer.retire(proxy));
    }
    const changed = changesByProxy(this.#flow, result);
    for (const proxy of proxies) {
      if (!this.#proxies.has(proxy)) this.#send(proxy, { upserts: resourcesOfProxy(this.#flow, proxy), removals: [] }, counts);
      else this.#send(proxy, merged(changed.get("all"), changed.get(proxy)), counts);
    }
    return counts;
  }

  #send(proxy: ProxyKey, changes: ResourceChanges, counts: Counts): void {
    const isNew = !this.#proxies.has(proxy);
    this.#proxies.add(proxy);
    if (!isNew && changes.upserts.length === 0 && changes.removals.length === 0) return;
    for (const resource of changes.upserts) counts.sent.push(resource);
    counts.upserts += changes.upserts.length;
    counts.removals += changes.removals.length;
    counts.touchesListeners ||= [...changes.upserts, ...changes.removals].some(({ typeUrl }) => typeUrl === typeUrls.listener);
    this.#each((consumer) => consumer.publish(proxy, changes));
  }

  #each(tell: (consumer: ResourceConsumer) => void): void {
    for (const consumer of this.#consumers) {
      try {
        tell(consumer);
      } catch (fault) {
        this.#onFault(fault);
      }
    }
  }
}

/** All that a proxy is served. */
export function resourcesOfProxy(flow: Flow, proxy: ProxyKey): EnvoyResource[] {
  return flow.outlets.flatMap((outlet) =>
    outlet.collection
      .entries()
      .filter(([, value]) => outlet.proxy === undefined || outlet.proxy(value) === proxy)
      .flatMap(([, value]) => outlet.resources(value)),
  );
}

/** By proxy, and under `all` what goes to every proxy. */
function changesByProxy(flow: Flow, result: BatchResult): Map<ProxyKey | "all", Difference> {
  const out = new Map<ProxyKey | "all", Difference>();
  const of = (proxy: ProxyKey | "all") => {
    const difference = out.get(proxy) ?? new Difference();
    out.set(proxy, difference);
    return difference;
  };
  for (const outlet of flow.outlets) {
    for (const [, { before, after }] of result.changesOf(outlet.collection)) {
      if (before !== undefined) of(outlet.proxy?.(before) ?? "all").less(outlet.resources(before));
      if (after !== undefined) of(outlet.proxy?.(after) ?? "all").more(outlet.resources(after));
    }
  }
  return out;
}

/** Collects what was and what is; only real differences come out. */
class Difference {
  readonly #before = new Map<string, EnvoyResource>();
  readonly #after = new Map<string, EnvoyResource>();

  less(resources: readonly EnvoyResource[]): void {
    for (const resource of resources) this.#before.set(nameIn(resource), resource);
  }

  more(resources: readonly EnvoyResource[]): void {
    for (const resource of resources) this.#after.set(nameIn(resource), resource);
  }

  get upserts(): EnvoyResource[] {
    return [...this.#after]
      .filter(([name, resource]) => this.#before.get(name)?.version !== resource.version)
      .map(([, resource]) => resource);
  }

  get removals(): { typeUrl: TypeUrl; name: string }[] {
    return [...this.#before].filter(([name]) => !this.#after.has(name)).map(([, { typeUrl, name }]) => ({ typeUrl, name }));
  }
}

function nameIn(resource: EnvoyResource): string {
  return `${resource.typeUrl} ${resource.name}`;
}

function merged(...differences: readonly (Difference | undefined)[]): ResourceChanges {
  const present = differences.filter((each) => each !== undefined);
  return { upserts: present.flatMap((each) => each.upserts), removals: present.flatMap((each) => each.removals) };
}
