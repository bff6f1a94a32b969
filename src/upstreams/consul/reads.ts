// Keeps reading a set of services, in one of two ways.
//
// Few: one blocking query for each. Many: an agent refuses more than 200 connections of one client, so somebody else has to say which
// service to read again: changes.ts. What changed lately is likely to change again (a deployment, a flapping check) and has a blocking
// query all the same. docs/decisions/0010-consul.md has the measurements.

import { followChanges } from "./changes.ts";
import type { ConsulClient } from "./client.ts";
import type { ConsulError } from "./consulError.ts";
import { type Instance, instancesOf } from "./instances.ts";
import type { ServiceQuery } from "./queries.ts";
import { backoffMs, follow, plainDeadlineMs, type Read } from "./watch.ts";

export interface ReadsOptions {
  readonly client: ConsulClient;
  readonly signal: AbortSignal;
  readonly waitMs: number;
  readonly onRead: (query: ServiceQuery, read: Read<readonly Instance[]>) => void;
  readonly onFault: (query: ServiceQuery, fault: ConsulError | undefined) => void;
  /** The last read of a service is not believed yet. */
  readonly isHeld: (query: ServiceQuery) => boolean;
  /** More services than this are many. Leaves room below the 200 connections of an agent. */
  readonly fewAtMost?: number;
}

export class Reads {
  readonly #options: ReadsOptions;
  #queries: ReadonlyMap<string, ServiceQuery> = new Map();
  readonly #following = new Map<string, AbortController>();
  #sweeper: Sweeper | undefined;

  constructor(options: ReadsOptions) {
    this.#options = options;
  }

  /** Replaces what is read. What stays is not read again for it. */
  set(queries: ReadonlyMap<string, ServiceQuery>): void {
    this.#queries = queries;
    const { fewAtMost = 100, signal } = this.#options;
    if (signal.aborted) return;
    if (queries.size > fewAtMost) {
      this.#stopFollowing(() => false);
      this.#sweeper ??= new Sweeper(this.#options);
      this.#sweeper.set(queries);
      return;
    }
    this.#sweeper?.stop();
    this.#sweeper = undefined;
    this.#stopFollowing((key) => queries.has(key));
    for (const [key, query] of queries) if (!this.#following.has(key)) this.#follow(query);
  }

  #stopFollowing(stays: (key: string) => boolean): void {
    for (const [key, controller] of this.#following) {
      if (stays(key)) continue;
      this.#following.delete(key);
      controller.abort();
    }
  }

  #follow(query: ServiceQuery): void {
    const { onRead } = this.#options;
    this.#following.set(
      query.key,
      followService(this.#options, this.#options.signal, query, (read) => {
        if (this.#queries.has(query.key)) onRead(query, read);
      }),
    );
  }
}

/** Keeps a blocking query for one service; the controller ends it. */
function followService(
  { client, waitMs, onFault, isHeld }: ReadsOptions,
  parent: AbortSignal,
  query: ServiceQuery,
  onRead: (read: Read<readonly Instance[]>) => void,
): AbortController {
  const controller = childOf(parent);
  const options = {
    signal: controller.signal,
    parse: instancesOf,
    waitMs,
    onFault: (fault: ConsulError | undefined) => onFault(query, fault),
    isImpatient: () => isHeld(query),
  };
  void (async () => {
    for await (const read of follow(client, query.path, query.parameters, options)) onRead(read);
  })();
  return controller;
}

/** Reads services again that are said to have changed, a few at a time. */
class Sweeper {
  readonly #options: ReadsOptions;
  readonly #controller: AbortController;
  #queries: ReadonlyMap<string, ServiceQuery> = new Map();
  /** By data centre and service. */
  #byService = new Map<string, ServiceQuery[]>();
  readonly #dataCentres = new Map<string, AbortController>();
  /** What is to be read, in this order; true: suspect. */
  readonly #due = new Map<string, boolean>();
  readonly #indexes = new Map<string, bigint>();
  /** What changed lately, the latest last. */
  readonly #lively = new Map<string, AbortController>();
  #running = 0;

  constructor(options: ReadsOptions) {
    this.#options = options;
    this.#controller = childOf(options.signal);
  }

  set(queries: ReadonlyMap<string, ServiceQuery>): void {
    const before = this.#queries;
    this.#queries = queries;
    this.#byService = Map.groupBy(queries.values(), ({ dataCentre, service }) => JSON.stringify([dataCentre, service]));
    for (const key of this.#indexes.keys()) if (!queries.has(key)) this.#indexes.delete(key);
    for (const key of this.#lively.keys()) if (!queries.has(key)) this.#calm(key);
    const dataCentres = new Set([...queries.values()].map(({ dataCentre }) => dataCentre));
    for (const [name, controller] of this.#dataCentres) {
      if (dataCentres.has(name)) continue;
      this.#dataCentres.delete(name);
      controller.abort();
    }
    for (const name of dataCentres) if (!this.#dataCentres.has(name)) this.#watch(name);
    for (const key of queries.keys()) if (!before.has(key)) this.#dueNow(key, false);
  }

  stop(): void {
    this.#controller.abort();
    this.#due.clear();
  }

  #watch(dataCentre: string): void {
    const { client, waitMs, onFault } = this.#options;
    const controller = childOf(this.#controller.signal);
    this.#dataCentres.set(dataCentre, controller);
    const representative: ServiceQuery = { key: dataCentre, service: "", dataCentre, path: "", parameters: {} };
    const changes = followChanges(client, dataCentre, {
      signal: controller.signal,
      waitMs,
      onFault: (fault) => onFault(representative, fault),
    });
    void (async () => {
      for await (const change of changes) {
        if (change.services === "all") {
          for (const [key, query] of this.#queries) if (query.dataCentre === dataCentre) this.#dueNow(key, change.isSuspect);
        } else {
          for (const service of change.services)
            for (const { key } of this.#byService.get(JSON.stringify([dataCentre, service])) ?? []) this.#dueNow(key, change.isSuspect);
        }
      }
    })();
  }

  #dueNow(key: string, isSuspect: boolean): void {
    this.#due.set(key, isSuspect || this.#due.get(key) === true);
    while (this.#running < parallelReads && this.#due.size > 0) void this.#work();
  }

  async #work(): Promise<void> {
    this.#running++;
    const { signal } = this.#controller;
    for (let next = take(this.#due); next !== undefined && !signal.aborted; next = take(this.#due)) {
      const [key, isSuspect] = next;
      const query = this.#queries.get(key);
      if (query) await this.#read(query, isSuspect);
    }
    this.#running--;
  }

  async #read(query: ServiceQuery, isSuspect: boolean): Promise<void> {
    const { client, onRead, onFault, isHeld } = this.#options;
    const { signal } = this.#controller;
    // Fresh: it was just said to have changed.
    const { stale: _stale, cached: _cached, ...parameters } = query.parameters;
    try {
      const { json, index, isFiltered } = await client.get(query.path, parameters, { signal, deadlineMs: plainDeadlineMs });
      if (!this.#queries.has(query.key)) return;
      const before = this.#indexes.get(query.key);
      this.#indexes.set(query.key, index);
      onFault(query, undefined);
      if (!isSuspect && before === index && !isHeld(query)) return;
      onRead(query, { value: instancesOf(json), index, isSuspect: isSuspect || (before ?? 0n) > index, isFiltered });
      if (before !== undefined && !isSuspect) this.#enliven(query);
      if (isHeld(query)) this.#later(query.key, 2000, false);
    } catch (error) {
      if (signal.aborted) return;
      onFault(query, error as ConsulError);
      this.#later(query.key, backoffMs(5), true);
    }
  }

  #enliven(query: ServiceQuery): void {
    const { key } = query;
    const known = this.#lively.get(key);
    this.#lively.delete(key);
    this.#lively.set(
      key,
      known ??
        followService(this.#options, this.#controller.signal, query, (read) => {
          if (!this.#queries.has(key)) return;
          this.#indexes.set(key, read.index);
          this.#options.onRead(query, read);
        }),
    );
    const [oldest] = this.#lively.keys();
    if (this.#lively.size > livelyAtMost && oldest !== undefined) this.#calm(oldest);
  }

  #calm(key: string): void {
    this.#lively.get(key)?.abort();
    this.#lively.delete(key);
  }

  #later(key: string, ms: number, isSuspect: boolean): void {
    const timer = setTimeout(() => {
      if (!this.#controller.signal.aborted && this.#queries.has(key)) this.#dueNow(key, isSuspect);
    }, ms);
    timer.unref();
  }
}

/** Connections that are held, besides those for reading. */
const livelyAtMost = 80;

/** More make a change no faster: Consul answers one in less than a millisecond. */
const parallelReads = 16;

function take<K, V>(map: Map<K, V>): [K, V] | undefined {
  const [first] = map;
  if (first !== undefined) map.delete(first[0]);
  return first;
}

/** A controller that its parent aborts too, and that leaves nothing behind in it. */
function childOf(parent: AbortSignal): AbortController {
  const child = new AbortController();
  const abort = () => child.abort(parent.reason);
  if (parent.aborted) abort();
  else {
    parent.addEventListener("abort", abort, { once: true });
    child.signal.addEventListener("abort", () => parent.removeEventListener("abort", abort), { once: true });
  }
  return child;
}
