// Looks up the host names that endpoints ask for: those of `failover`, where the other endpoints travel by EDS and Envoy takes addresses
// only. What is found goes into the flow like any other fact about the outside.
import { lookup } from "node:dns/promises";
import { Names } from "../lib/names.ts";
import { Report } from "../model/problem.ts";
import type { ResourceKey } from "../model/ref.ts";
import type { Flow } from "./flow.ts";

export interface EndpointNamesOptions {
  readonly flow: Flow;
  /** Runs an edit of the flow's inputs inside of the next batch. */
  readonly schedule: (edit: () => void) => void;
  readonly signal: AbortSignal;
}

/** As Gloo has it. */
const defaultEveryMs = 10_000;
const leastEveryMs = 100;

/** How long the first lookups may keep the start waiting: proxies that run have addresses, and shall not lose them to a restart. */
const patienceMs = 2_000;

export class EndpointNames {
  readonly #options: EndpointNamesOptions;
  readonly #names: Names;
  /** The names that each Upstream asks for. */
  readonly #asked = new Map<string, readonly string[]>();
  readonly #unresolved = new Set<string>();
  #isPatient = true;

  constructor(options: EndpointNamesOptions) {
    this.#options = options;
    const { flow, schedule, signal } = options;
    this.#names = new Names({
      lookUp: addressesOf,
      everyMs: () => everyMs(flow),
      signal,
      onChange: (name, addresses) => schedule(() => flow.inputs.names.set(name, addresses)),
      onFault: (name, fault) => this.#note(name, fault),
    });
  }

  /** Begins with the names that are asked for now. */
  start(): this {
    const { flow, schedule, signal } = this.#options;
    for (const collection of flow.endpoints) {
      for (const [key, endpoints] of collection.entries()) this.#ask(key, endpoints.names);
      const end = flow.graph.observe(collection, (changes) => {
        for (const [key, { after }] of changes) this.#ask(key, after?.names);
        this.#want();
      });
      signal.addEventListener("abort", end, { once: true });
    }
    this.#want();
    const timer = setTimeout(() => {
      this.#isPatient = false;
      schedule(() => undefined);
    }, patienceMs);
    signal.addEventListener("abort", () => clearTimeout(timer), { once: true });
    return this;
  }

  /** A name has not been tried yet, and it is worth waiting for. */
  get isWaiting(): boolean {
    return this.#isPatient && [...this.#asked.values()].some((names) => names.some((name) => !this.#options.flow.inputs.names.has(name)));
  }

  #ask(key: string, names: readonly string[] = []): void {
    const before = this.#asked.get(key) ?? [];
    if (names.length > 0) this.#asked.set(key, names);
    else this.#asked.delete(key);
    if (String(before) !== String(names)) this.#options.schedule(() => this.#report(key));
  }

  #want(): void {
    const { flow, schedule } = this.#options;
    const wanted = new Set([...this.#asked.values()].flat());
    for (const name of this.#unresolved) if (!wanted.has(name)) this.#unresolved.delete(name);
    this.#names.want(wanted);
    const gone = flow.inputs.names.entries().flatMap(([name]) => (wanted.has(name) ? [] : [name]));
    if (gone.length > 0) {
      schedule(() => {
        for (const name of gone) flow.inputs.names.delete(name);
      });
    }
  }

  #note(name: string, fault: Error | undefined): void {
    if (this.#unresolved.has(name) === (fault !== undefined)) return;
    if (fault) this.#unresolved.add(name);
    else this.#unresolved.delete(name);
    this.#options.schedule(() => {
      for (const [key, names] of this.#asked) if (names.includes(name)) this.#report(key);
    });
  }

  #report(key: string): void {
    const resource = key as ResourceKey;
    const report = new Report(resource);
    for (const name of this.#asked.get(key) ?? []) {
      if (this.#unresolved.has(name)) report.warn("NameUnresolved", `no address was found for ${name}`, { path: "failover" });
    }
    const { flow } = this.#options;
    // Nobody wrote those that are made of Services, so nobody is told.
    if (report.problems.length === 0 || flow.given(resource)) flow.reportOn("names", resource, report.problems);
  }
}

function everyMs({ settings }: Flow): number {
  const every = settings.value.gloo?.failoverUpstreamDnsPollingInterval;
  const ms = every ? Number(every.seconds) * 1000 + every.nanos / 1e6 : 0;
  return ms > 0 ? Math.max(leastEveryMs, ms) : defaultEveryMs;
}

/** IPv4 where there is any, as everywhere: hosts with AAAA records that do not answer would come into rotation otherwise. */
async function addressesOf(name: string): Promise<readonly string[]> {
  const all = await lookup(name, { all: true, order: "ipv4first" });
  const v4 = all.filter(({ family }) => family === 4);
  return (v4.length > 0 ? v4 : all).map(({ address }) => address);
}
