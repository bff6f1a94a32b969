// One watch of a cluster, from its beginning to its end: which kinds it serves, a reflector for each, and when the first batch is whole.
import type { KubeApi } from "../../lib/kubernetes/api.ts";
import { type Backoff, backoffMs, pause, usualBackoff } from "../../lib/kubernetes/backoff.ts";
import { KubeError } from "../../lib/kubernetes/error.ts";
import { apiVersionOf, type KubeObject, resourceName, type ServedType } from "../../lib/kubernetes/object.ts";
import { reflect } from "../../lib/kubernetes/reflector.ts";
import type { ResourceKey } from "../../model/ref.ts";
import type { Kind } from "../../model/resource.ts";
import type { SourceBatch, SourceHealth } from "../../plugin/source.ts";
import { Health } from "./health.ts";
import { Inventory, type InventoryOptions, keyOf } from "./inventory.ts";
import {
  type ClusterKind,
  configMapKind,
  endpointSliceKind,
  endpointsKind,
  namespaceKind,
  ownKinds,
  podKind,
  secretKind,
  serviceKind,
} from "./kinds.ts";

export interface FollowOptions extends InventoryOptions {
  readonly api: KubeApi;
  /** Only these; all, unless given. */
  readonly namespaces?: readonly string[];
  /** How often it is asked whether kinds have come; five times as often for the first minute, in which somebody may be installing them. */
  readonly discoverEveryMs?: number;
  /** After so long without an answer at the start, what is remembered is served. */
  readonly standInAfterMs?: number;
  readonly backoff?: Backoff;
  readonly holdMs?: number;
  readonly holdAfterMissingMs?: number;
  /** Told whenever it may have changed. */
  readonly onHealth?: (health: SourceHealth) => void;
  /** Every object of our kinds, whole, whenever it changes (its status, too); undefined: it is gone. For who writes statuses. */
  readonly onObject?: (key: ResourceKey, object: KubeObject | undefined) => void;
}

/** The place of findings that are about the cluster and none of its objects. */
const clusterPlace = "kubernetes";
const firstLook = "the first look at the cluster";

export class ClusterFollower {
  readonly health: Health;
  readonly #options: FollowOptions;
  /** Ours: what runs ends with the batches, whether they were aborted, left or failed. */
  readonly #ended = new AbortController();
  readonly #outer: AbortSignal;
  readonly #inventory: Inventory;
  readonly #served = new Map<Kind, ServedType>();
  /** Kinds that are followed, and the namespaces of them that have not been read yet. */
  readonly #unread = new Map<ClusterKind, Set<string>>();
  readonly #running = new Set<Promise<void>>();
  #isDiscovered = false;
  #hasSpoken = false;
  /** The cluster did not answer in time, and what is remembered is served instead. */
  #standsIn = false;
  #fault: unknown;
  #wake: () => void = () => undefined;

  constructor(options: FollowOptions, signal: AbortSignal) {
    this.#options = options;
    this.#outer = signal;
    this.#inventory = new Inventory(options);
    this.health = new Health(options.api.connection.name, () => this.#tellHealth());
  }

  get #signal(): AbortSignal {
    return this.#ended.signal;
  }

  /** Which kinds the cluster serves, as far as it was asked. */
  get served(): ReadonlyMap<Kind, ServedType> {
    return this.#served;
  }

  async *batches(): AsyncGenerator<SourceBatch> {
    const signal = this.#signal;
    const end = () => this.#ended.abort(this.#outer.reason);
    if (this.#outer.aborted) end();
    this.#outer.addEventListener("abort", end, { once: true });
    const stop = () => this.#wake();
    signal.addEventListener("abort", stop, { once: true });
    this.#run(this.#discover());
    this.#follow(serviceKind);
    this.#follow(secretKind);
    this.#follow(configMapKind);
    this.#follow(namespaceKind);
    const standIn = setTimeout(() => this.#standIn(), this.#options.standInAfterMs ?? 3000);
    try {
      while (!signal.aborted) {
        if (this.#fault !== undefined) throw this.#fault;
        if (!this.#hasSpoken && this.#isWhole()) {
          clearTimeout(standIn);
          this.#hasSpoken = true;
          this.health.started();
          yield this.#inventory.takeAll();
        } else if (this.#hasSpoken && this.#inventory.hasNews && !this.#waitsForPods()) yield this.#inventory.take();
        else await new Promise<void>((resolve) => (this.#wake = resolve));
      }
    } finally {
      clearTimeout(standIn);
      this.health.stop();
      signal.removeEventListener("abort", stop);
      this.#outer.removeEventListener("abort", end);
      this.#ended.abort();
      await Promise.all(this.#running);
    }
  }

  /** All that is there has been read, or what was there before stands in for it. */
  #isWhole(): boolean {
    return this.#standsIn || this.#isRead();
  }

  #isRead(): boolean {
    return this.#isDiscovered && this.#unread.values().every((namespaces) => namespaces.size === 0);
  }

  /** Endpoints chosen by labels nobody knows yet would be none. */
  #waitsForPods(): boolean {
    return this.#inventory.wantsPods && (this.#unread.get(podKind)?.size ?? 0) > 0;
  }

  #run(task: Promise<void>): void {
    const run = task.catch((fault: unknown) => {
      if (this.#signal.aborted) return;
      this.#fault = fault;
      this.#wake();
    });
    this.#running.add(run);
    void run.finally(() => this.#running.delete(run));
  }

  /** Asks what kinds there are, again and again: a definition may come later. */
  async #discover(): Promise<void> {
    const { api, discoverEveryMs = 10_000, backoff = usualBackoff } = this.#options;
    const versions = new Set([...ownKinds, endpointSliceKind].map(({ type }) => apiVersionOf(type)));
    const begun = performance.now();
    let failures = 0;
    let missingBefore: string | undefined;
    while (!this.#signal.aborted) {
      try {
        const all = await Promise.all([...versions].map((version) => api.discover(version, { signal: this.#signal })));
        failures = 0;
        this.health.note("discovery", undefined);
        const served = all.flat();
        const missing = missingIn(served);
        if (!this.#isDiscovered && missing !== "" && missing !== missingBefore) {
          missingBefore = (await this.#isServerReady()) ? missing : undefined;
          await pause(Math.min(discoverEveryMs, 1000), this.#signal);
          continue;
        }
        this.#learn(served);
        // Not all replicas at the same moment.
        const isEarly = performance.now() - begun < 60_000;
        await pause((isEarly ? discoverEveryMs / 5 : discoverEveryMs) * (0.8 + Math.random() * 0.4), this.#signal);
      } catch (error) {
        if (this.#signal.aborted) return;
        if (!(error instanceof KubeError)) throw error;
        this.health.note("discovery", error);
        await pause(backoffMs(++failures, backoff), this.#signal);
      }
    }
  }

  /**
   * An API server that has just started does not know its definitions yet. Believing it would empty the configuration, so what it does not
   * serve at first has to be missing once more after the server was ready.
   */
  async #isServerReady(): Promise<boolean> {
    try {
      await this.#options.api.probe("/readyz", { signal: this.#signal });
      return true;
    } catch (error) {
      // Who may not ask learns nothing.
      return error instanceof KubeError && (error.fault === "denied" || error.fault === "missing");
    }
  }

  #learn(all: readonly ServedType[]): void {
    for (const kind of ownKinds) {
      const served = servedAs(kind, all);
      if (!served) continue;
      this.#served.set(kind.kind, served);
      this.#follow(kind);
    }
    if (!this.#isDiscovered) {
      this.#follow(servedAs(endpointSliceKind, all) ? endpointSliceKind : endpointsKind);
      // A definition that was removed while we were away takes nothing out of service either.
      const gone = this.#inventory.standIn((kind) => ownKinds.some((each) => each.kind === kind && !this.#served.has(kind)));
      for (const { kind, type } of ownKinds) if (gone.has(kind)) this.health.noteGone(resourceName(type), true);
    }
    this.#isDiscovered = true;
    this.health.noteDefinitions(this.#served.size > 0);
    this.#wake();
  }

  #follow(kind: ClusterKind): void {
    if (this.#unread.has(kind)) return;
    const { namespaces = [] } = this.#options;
    const all = namespaces.length === 0 || !kind.type.isNamespaced ? [""] : namespaces;
    // An account with rights in some namespaces can hardly list them.
    if (namespaces.length > 0 && !kind.type.isNamespaced) return;
    this.#unread.set(kind, new Set(all));
    for (const namespace of all) this.#run(this.#reflect(kind, namespace));
  }

  async #reflect(kind: ClusterKind, namespace: string): Promise<void> {
    const { api, backoff, holdMs, holdAfterMissingMs, onObject } = this.#options;
    const { type, isOurs, fieldSelector } = kind;
    const question = `${resourceName(type)}${namespace && ` in ${namespace}`}`;
    let held = 0;
    const sink = {
      apply: (object: KubeObject) => {
        this.#inventory.apply(kind, object);
        if (isOurs) onObject?.(keyOf(kind, { namespace: object.metadata.namespace ?? "", name: object.metadata.name }), object);
        this.#wakeForNews();
      },
      delete: (ref: { namespace: string; name: string }) => {
        this.#inventory.delete(kind, ref);
        if (isOurs) onObject?.(keyOf(kind, ref), undefined);
        this.#wakeForNews();
      },
      synced: () => {
        if (isOurs) this.health.noteGone(resourceName(type), false);
        this.#read(kind, namespace, held === 0);
      },
      fault: (error: KubeError | undefined) => {
        const isGone = isOurs && error?.fault === "missing";
        if (isOurs) this.health.noteGone(resourceName(type), isGone);
        this.health.note(question, isGone ? undefined : error);
        if (kind.isOptional && error?.fault === "denied") this.#read(kind, namespace, true);
      },
      held: (missing: number) => {
        held = missing;
        // At the start, what is doubted to be gone is only remembered.
        if (missing > 0 && this.#unread.get(kind)?.has(namespace)) this.#inventory.standIn((each) => each === kind.kind);
        this.health.noteHeld(question, missing);
      },
    };
    await reflect(api, type, sink, {
      signal: this.#signal,
      ...(namespace !== "" && { namespace }),
      ...(fieldSelector !== undefined && { fieldSelector }),
      ...(backoff && { backoff }),
      ...(holdMs !== undefined && { holdMs }),
      ...(holdAfterMissingMs !== undefined && { holdAfterMissingMs }),
      doubtsDeletions: isOurs,
      ...(isOurs && { known: this.#inventory.rememberedOf(kind, namespace) }),
    });
  }

  #read(kind: ClusterKind, namespace: string, isBelieved: boolean): void {
    const unread = this.#unread.get(kind);
    if (unread?.delete(namespace) && unread.size === 0 && isBelieved) this.#inventory.dismissStandIns(kind);
    this.health.noteStandIns(this.#inventory.standIns);
    if (this.#isRead()) this.health.note(firstLook, undefined);
    this.#wakeForNews();
  }

  #wakeForNews(): void {
    if (this.#inventory.wantsPods) this.#follow(podKind);
    this.#wake();
  }

  #standIn(): void {
    if (this.#hasSpoken) return;
    const unread = new Set(this.#unread.entries().flatMap(([{ kind }, namespaces]) => (namespaces.size > 0 ? [kind] : [])));
    const isMissing = (kind: Kind) => unread.has(kind) || !this.#unread.keys().some((each) => each.kind === kind);
    this.#standsIn = this.#inventory.standIn(isMissing).size > 0;
    // Whoever hangs has not failed yet.
    this.health.note(firstLook, new KubeError("unreachable", "it has not answered yet", { request: firstLook }));
    this.health.noteStandIns(this.#inventory.standIns);
    this.#wake();
  }

  #tellHealth(): void {
    this.#inventory.setProblems(clusterPlace, this.health.problems);
    this.#options.onHealth?.(this.health.now);
    this.#wake();
  }
}

function servedAs({ type }: ClusterKind, served: readonly ServedType[]): ServedType | undefined {
  return served.find(({ group, plural }) => group === type.group && plural === type.plural);
}

/** The kinds of ours that are not served, as one text. */
function missingIn(served: readonly ServedType[]): string {
  return ownKinds.flatMap((kind) => (servedAs(kind, served) ? [] : [resourceName(kind.type)])).join();
}
