// Which services of a data centre have changed, where there are too many to hold a blocking query for each.
//
//   /v1/catalog/services       blocks until any instance is registered or deregistered; says which services and tags there are
//   /v1/health/state/critical  blocks until any check becomes critical or stops to be; says which service
//   /v1/internal/ui/services   asked after the first has changed: counts of instances and nodes for each service. It is what Consul's own
//                              dashboard reads; where it is missing, or shows no difference, all services are read again
import { setTimeout as delay } from "node:timers/promises";
import { Latest } from "../../lib/latest.ts";
import { type Catalog, catalogOf, catalogPath } from "./catalog.ts";
import type { ConsulClient } from "./client.ts";
import type { ConsulError } from "./consulError.ts";
import { follow, plainDeadlineMs } from "./watch.ts";

export interface Changes {
  readonly services: ReadonlySet<string> | "all";
  /** Something went wrong since the changes before. */
  readonly isSuspect: boolean;
}

export interface ChangesOptions {
  readonly signal: AbortSignal;
  readonly waitMs: number;
  readonly onFault: (fault: ConsulError | undefined) => void;
}

/** All are read again at least so often. */
const allAtLeastEveryMs = 600_000;

/** …and, a few times at once aside, at most so often: one costs us some 0.2 ms of CPU, and a tenth of a core is enough for all. */
function allAtMostEveryMs(services: number): number {
  return Math.min(20_000, Math.max(500, 2 * services));
}

const allAtOnce = 3;

/** Yields names of services that must be read again: first "all", when it knows what later changes are to be compared with. */
export async function* followChanges(client: ConsulClient, dataCentre: string, options: ChangesOptions): AsyncGenerator<Changes> {
  const { signal } = options;
  const found = new Latest<symbol, Changes>(signal);
  const tell = (services: Changes["services"], isSuspect: boolean) => {
    if (services === "all" || services.size > 0) found.put(Symbol(), { services, isSuspect });
  };
  let count = 0;
  const all = sparingly(
    () => tell("all", false),
    () => allAtMostEveryMs(count),
    signal,
  );
  const regularly = setInterval(() => tell("all", false), allAtLeastEveryMs);
  const explain = summaries(client, dataCentre, signal);
  const query = { dc: dataCentre };
  // Each costs us some 80 ms of CPU with thousands of services, and Consul more.
  const registrations = { burst: 5, everyMs: 600 };
  let toBegin = 2;
  const begin = () => {
    if (--toBegin === 0) tell("all", false);
  };

  const followRegistrations = async () => {
    let before: Map<string, string> | undefined;
    for await (const { value: next, isSuspect } of follow(client, catalogPath, query, {
      ...options,
      pace: registrations,
      parse: (json) => prints(catalogOf(json)),
    })) {
      const named = differences(before, next);
      const isFirst = before === undefined;
      before = next;
      count = next.size;
      if (isSuspect && !isFirst) tell("all", true);
      tell(named, isSuspect);
      const explained = await explain();
      if (isFirst) begin();
      else if (explained?.size) tell(explained, isSuspect);
      else if (named.size === 0) all();
    }
  };
  const followHealth = async () => {
    let before: Map<string, string> | undefined;
    for await (const read of follow(client, "v1/health/state/critical", query, { ...options, parse: criticalOf })) {
      const next = read.value;
      const changed = new Set([...differences(before, next)].map((key) => JSON.parse(key)[0] as string));
      if (before === undefined) begin();
      before = next;
      // A check of a node speaks for everything on it.
      const isAboutNodes = changed.delete("");
      tell(changed, read.isSuspect);
      if (isAboutNodes) tell((await explain()) ?? "all", read.isSuspect);
    }
  };
  const followed = Promise.all([followRegistrations(), followHealth()]);
  try {
    yield* found;
  } finally {
    clearInterval(regularly);
    await followed;
  }
}

function prints(catalog: Catalog): Map<string, string> {
  return new Map([...catalog].map(([name, tags]) => [name, tags.join(" ")]));
}

/** Critical checks by service (empty for checks of nodes), node and check. */
function criticalOf(json: unknown): Map<string, string> {
  const checks = Array.isArray(json) ? (json as ({ ServiceName?: unknown; Node?: unknown; CheckID?: unknown } | null)[]) : [];
  return new Map(checks.map((check) => [JSON.stringify([String(check?.ServiceName ?? ""), check?.Node, check?.CheckID]), ""]));
}

/** Returns a function that compares the summary of all services with the one before; undefined where there is no telling. */
function summaries(client: ConsulClient, dataCentre: string, signal: AbortSignal): () => Promise<ReadonlySet<string> | undefined> {
  let before: Map<string, string> | undefined;
  return async () => {
    try {
      const { json } = await client.get("v1/internal/ui/services", { dc: dataCentre }, { signal, deadlineMs: plainDeadlineMs });
      if (!Array.isArray(json)) return undefined;
      const next = new Map(json.map((each: { Name?: unknown }) => [String(each?.Name), JSON.stringify(each)]));
      const named = before && differences(before, next);
      before = next;
      return named;
    } catch {
      // Nothing depends on it; that Consul cannot be reached is told by those who do.
      before = undefined;
      return undefined;
    }
  };
}

function differences(before: ReadonlyMap<string, string> | undefined, next: ReadonlyMap<string, string>): Set<string> {
  const changed = new Set<string>();
  if (before === undefined) return changed;
  for (const [key, print] of next) if (before.get(key) !== print) changed.add(key);
  for (const key of before.keys()) if (!next.has(key)) changed.add(key);
  return changed;
}

/** Calls at once a few times, and then again each time that so long has passed; once for all that came in between. */
function sparingly(call: () => void, everyMs: () => number, signal: AbortSignal): () => void {
  let fullAt = Number.NEGATIVE_INFINITY;
  let isWaiting = false;
  return () => {
    if (isWaiting) return;
    isWaiting = true;
    const every = everyMs();
    fullAt = Math.max(fullAt, performance.now() - allAtOnce * every) + every;
    void delay(Math.max(0, fullAt - performance.now()), undefined, { signal }).then(
      () => {
        isWaiting = false;
        call();
      },
      () => undefined,
    );
  };
}
