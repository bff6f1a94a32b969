// Discovered Upstreams as a source of configuration. Runs the types' discover(), owns what it made of their lists, keeps what users
// changed in it, and removes what is gone, unless too much is gone at once after something went wrong.
//
// What discover() looks at, and how it gets over an outage, is the types' business.
import { hash } from "node:crypto";
import { setTimeout as delay } from "node:timers/promises";
import { equals, toBinary } from "@bufbuild/protobuf";
import { type Upstream, UpstreamSchema } from "../gen/gloo/gloo/projects/gloo/api/v1/upstream_pb.js";
import { MassDeleteGuard } from "../lib/mass-delete-guard.ts";
import type { Change } from "../model/change.ts";
import { type ResourceKey, resourceKey } from "../model/ref.ts";
import type { Resource } from "../model/resource.ts";
import type { Source, SourceBatch } from "../plugin/source.ts";
import type { AnyUpstreamType, DiscoveredUpstream, EdgeContext } from "../plugin/upstream-type.ts";
import { resynced } from "./resync.ts";

export interface DiscoveryOptions {
  /** All types; those without discover() are left alone. */
  readonly types: Iterable<Pick<AnyUpstreamType, "kind" | "discover">>;
  /** What discover() is given. Called for each run: `signal` ends that run. */
  readonly contextOf: (kind: string, signal: AbortSignal) => EdgeContext;
  /** Somebody else has a resource of that name: it is theirs, and discovery keeps out of it. */
  readonly isTaken?: (key: ResourceKey) => boolean;
  /** What discovery had in service before a restart. It stays until discovery says otherwise. */
  readonly remembered?: readonly Resource<"Upstream">[];
  /**
   * Resolves when the other sources have spoken, and Settings are known: asked before, a type would say that there is nothing to look
   * at. Default: at once.
   */
  readonly startsAfter?: Promise<unknown>;
  /** How long the first batch waits for types that have not answered yet. */
  readonly patienceMs?: number;
  /** How long a list must stand that lacks most of what was there before a restart or a failure. */
  readonly holdMs?: number;
}

export interface DiscoverySource extends Source {
  /**
   * Changes a discovered Upstream: a user's edit, or functions that were found behind it. The change stays when discovery has
   * news of the Upstream. False where there is none of that name.
   */
  edit(key: ResourceKey, change: (spec: Upstream) => Upstream): boolean;
  /** Settings, or names that are taken, have changed: asks the types anew. What they said before stays until they answer. */
  restart(): void;
}

export function discoverySource(options: DiscoveryOptions): DiscoverySource {
  return new Discovery(options);
}

/** What one type has said. */
interface Run {
  readonly kind: string;
  readonly discover: NonNullable<AnyUpstreamType["discover"]>;
  readonly guard: MassDeleteGuard;
  /** Undefined until it has answered. */
  list: readonly DiscoveredUpstream[] | undefined;
  hasAnswered: boolean;
}

class Discovery implements DiscoverySource {
  readonly name = "discovery";
  readonly #options: DiscoveryOptions;
  readonly #runs: readonly Run[];
  readonly #held = new Map<ResourceKey, Resource<"Upstream">>();
  /** What discovery itself last said, to tell its part from the user's. */
  readonly #said = new Map<ResourceKey, Upstream>();
  #changes = new Map<ResourceKey, Change>();
  #noticedAt = 0;
  #wake: () => void = () => undefined;
  #current = new AbortController();
  #hasStarted = false;
  #ended: AbortSignal = AbortSignal.abort();

  constructor(options: DiscoveryOptions) {
    this.#options = options;
    this.#runs = [...options.types].flatMap(({ kind, discover }) =>
      discover
        ? [
            {
              kind,
              discover,
              guard: new MassDeleteGuard({ holdMs: options.holdMs ?? 60_000, atLeast: 1 }),
              list: undefined,
              hasAnswered: false,
            },
          ]
        : [],
    );
    const kinds = new Set<string | undefined>(this.#runs.map(({ kind }) => kind));
    for (const resource of options.remembered ?? [])
      if (kinds.has(resource.spec?.upstreamType.case)) this.#held.set(resource.key, resource);
  }

  /** Nobody is asked: what is outside is no part of a configuration that is checked or translated once. */
  async read(): Promise<SourceBatch> {
    return { changes: [{ kind: "reset", resources: [] }] };
  }

  locate(): undefined {
    return undefined;
  }

  async *watch(signal: AbortSignal): AsyncGenerator<SourceBatch> {
    this.#ended = signal;
    const stop = () => {
      this.#current.abort();
      this.#wake();
    };
    signal.addEventListener("abort", stop, { once: true });
    try {
      const { startsAfter } = this.#options;
      const aborted = new Promise<void>((resolve) => signal.addEventListener("abort", () => resolve(), { once: true }));
      if (startsAfter) await Promise.race([startsAfter, aborted]);
      if (signal.aborted) return;
      this.#hasStarted = true;
      this.#start();
      await this.#firstAnswers(signal);
      if (signal.aborted) return;
      this.#changes.clear();
      yield { changes: [{ kind: "reset", resources: [...this.#held.values()] }] };
      while (!signal.aborted) {
        if (this.#changes.size === 0) await this.#nextWake();
        if (this.#changes.size === 0 || signal.aborted) continue;
        const changes = [...this.#changes.values()];
        this.#changes = new Map();
        yield { changes, noticedAt: this.#noticedAt };
      }
    } finally {
      stop();
      signal.removeEventListener("abort", stop);
    }
  }

  edit(key: ResourceKey, change: (spec: Upstream) => Upstream): boolean {
    const resource = this.#held.get(key);
    if (resource?.spec === undefined || resource.origin.source !== this.name) return false;
    this.#apply({ ...resource, spec: change(resource.spec) });
    return true;
  }

  restart(): void {
    if (!this.#hasStarted || this.#ended.aborted) return;
    this.#current.abort();
    for (const run of this.#runs) run.hasAnswered = false;
    this.#start();
  }

  #start(): void {
    this.#current = new AbortController();
    for (const run of this.#runs) void this.#follow(run, this.#current.signal);
  }

  /** Runs a type's discover() until the signal aborts; again when it fails, which is a fault of the type. */
  async #follow(run: Run, signal: AbortSignal): Promise<void> {
    // What was there before we were, or before it failed, must not go because of a first list that is not whole yet.
    let isSuspect = run.list === undefined;
    for (let failures = 0; !signal.aborted; failures++) {
      const context = this.#options.contextOf(run.kind, signal);
      try {
        for await (const list of run.discover(context)) {
          if (signal.aborted) return;
          if (this.#take(run, list, context, isSuspect)) isSuspect = false;
          else this.#takeLater(run, list, context).catch((fault: unknown) => logFailure(run, fault, context));
          failures = 0;
        }
        return;
      } catch (error) {
        if (signal.aborted) return;
        isSuspect = true;
        logFailure(run, error, context);
      }
      await delay(Math.min(60_000, 1000 * 2 ** failures), undefined, { signal }).catch(() => undefined);
    }
  }

  /** The list again when it has stood for long enough, if there was none after it. */
  async #takeLater(run: Run, list: readonly DiscoveredUpstream[], context: EdgeContext): Promise<void> {
    await delay((this.#options.holdMs ?? 60_000) + 50, undefined, { signal: context.signal }).catch(() => undefined);
    if (!context.signal.aborted && run.guard.isHolding) this.#take(run, list, context, true);
  }

  /** False when the list is not believed yet. */
  #take(run: Run, found: readonly DiscoveredUpstream[], { settings }: EdgeContext, isSuspect: boolean): boolean {
    const isOn = settings().discovery?.udsOptions?.enabled !== false;
    const wanted = new Map<ResourceKey, DiscoveredUpstream>();
    for (const each of found) {
      const key = resourceKey("Upstream", each.ref);
      if ((isOn || each.isImplied) && this.#options.isTaken?.(key) !== true) wanted.set(key, each);
    }
    const before = this.#keysOf(run.kind);
    run.hasAnswered = true;
    if (!run.guard.believes(before, new Set(wanted.keys()), isSuspect)) {
      this.#wake();
      return false;
    }
    run.list = found;
    for (const [key, each] of wanted) this.#resync(key, each);
    for (const key of before) if (!wanted.has(key)) this.#delete(key);
    this.#wake();
    return true;
  }

  #resync(key: ResourceKey, { ref, labels, annotations = {}, spec, isImplied }: DiscoveredUpstream): void {
    const held = this.#held.get(key);
    const said = this.#said.get(key);
    if (held && said && (said === spec || equals(UpstreamSchema, said, spec))) return;
    this.#said.set(key, spec);
    const isNews = held?.spec === undefined || isImplied === true;
    this.#apply({
      kind: "Upstream",
      key,
      ref,
      labels: { ...held?.labels, ...labels },
      annotations: { ...held?.annotations, ...annotations },
      spec: isNews ? spec : resynced(spec, held.spec, said),
      version: "",
      problems: [],
      // Implied ones live in memory only, and are nobody's to edit.
      origin: { source: isImplied ? "memory" : this.name },
    });
  }

  #apply(resource: Resource<"Upstream">): void {
    const { spec, labels, annotations } = resource;
    const version = hash(
      "sha256",
      Buffer.concat([toBinary(UpstreamSchema, spec as Upstream), Buffer.from(JSON.stringify([labels, annotations]))]),
      "hex",
    );
    const next = { ...resource, version: version.slice(0, 16) };
    if (this.#held.get(resource.key)?.version === next.version) return;
    this.#held.set(resource.key, next);
    this.#note(resource.key, { kind: "apply", resource: next });
  }

  #delete(key: ResourceKey): void {
    this.#held.delete(key);
    this.#said.delete(key);
    this.#note(key, { kind: "delete", key });
  }

  #note(key: ResourceKey, change: Change): void {
    if (this.#changes.size === 0) this.#noticedAt = performance.now();
    this.#changes.set(key, change);
    this.#wake();
  }

  /** Also of what is remembered: a type's Upstreams are of its kind. */
  #keysOf(kind: string): ReadonlySet<string> & ReadonlySet<ResourceKey> {
    const keys = new Set<ResourceKey>();
    for (const [key, { spec }] of this.#held) if (spec?.upstreamType.case === kind) keys.add(key);
    return keys as ReadonlySet<string> & ReadonlySet<ResourceKey>;
  }

  /** Nothing else starts before all sources have spoken; but one that cannot be reached must not keep the others waiting. */
  async #firstAnswers(signal: AbortSignal): Promise<void> {
    const patience = AbortSignal.timeout(this.#options.patienceMs ?? 3000);
    const give = () => this.#wake();
    patience.addEventListener("abort", give, { once: true });
    while (!signal.aborted && !patience.aborted && this.#runs.some(({ hasAnswered }) => !hasAnswered)) await this.#nextWake();
    patience.removeEventListener("abort", give);
  }

  #nextWake(): Promise<void> {
    return new Promise((resolve) => {
      this.#wake = resolve;
    });
  }
}

function logFailure({ kind }: Run, fault: unknown, { log }: EdgeContext): void {
  log.error({ kind, error: fault instanceof Error ? fault.stack : String(fault) }, "discovery failed; what it found stays in service");
}
