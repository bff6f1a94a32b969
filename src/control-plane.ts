// The running control plane: sources in, Envoy resources and statuses out. What is computed from what is in flow/;
// this file feeds it, hands on what changed, and remembers what was good.
import { setImmediate as nextTurn } from "node:timers/promises";
import type { Pace } from "./discovery/functions.ts";
import { type DiscoverySource, discoverySource } from "./discovery/source.ts";
import { type BatchReport, batchReport, changedResources, type SettledBatch } from "./flow/batch-report.ts";
import { Blame } from "./flow/blame.ts";
import { carryOut } from "./flow/carry-out.ts";
import { Edges } from "./flow/edges.ts";
import { FileProblems } from "./flow/file-problems.ts";
import { Flow } from "./flow/flow.ts";
import { Functions } from "./flow/functions.ts";
import { Memory } from "./flow/memory.ts";
import { EndpointNames } from "./flow/names.ts";
import type { Provenance } from "./flow/provenance.ts";
import { Publisher } from "./flow/publisher.ts";
import { noteRefusal, releasedWith, unboundBy } from "./flow/refusals.ts";
import { problemsOfTrial } from "./flow/trial.ts";
import { UnknownAtStart } from "./flow/unknown-at-start.ts";
import { judgedAnew, verdictsOf } from "./flow/verdicts.ts";
import { viewOf } from "./flow/view.ts";
import { type WriteDiscoveredOptions, writeDiscovered } from "./flow/written.ts";
import type { BatchResult } from "./graph/mod.ts";
import type { Change } from "./model/change.ts";
import type { EnvoyResource, ProxyKey, Refusal, ResourceConsumer } from "./model/envoy-resource.ts";
import type { Place, Problem } from "./model/problem.ts";
import type { ResourceKey } from "./model/ref.ts";
import type { Resource, Spec } from "./model/resource.ts";
import type { Status } from "./model/status.ts";
import type { Plugins } from "./plugin/plugins.ts";
import type { Source, SourceBatch } from "./plugin/source.ts";
import type { Logger } from "./plugin/upstream-type.ts";
import type { StateStore } from "./state/store.ts";
import type { Verdicts } from "./status/kubernetes/writer.ts";

/** A problem with its place, where a source knows it. */
export interface Finding {
  readonly problem: Problem;
  readonly place?: Place;
}

/** What the configuration comes to: the answer of `check` and `translate`, and the live view of a running control plane. */
export interface Translation {
  readonly statuses: ReadonlyMap<ResourceKey, Status>;
  readonly resources: ReadonlyMap<ResourceKey, Resource>;
  readonly findings: readonly Finding[];
  readonly proxies: ReadonlyMap<ProxyKey, readonly EnvoyResource[]>;
  /** The text of a file, for code frames. */
  textOf(file: string): string | undefined;
}

/** Translates what a source has at this moment. Reads nothing else and keeps nothing. */
export async function translateOnce(options: { readonly source: Source; readonly plugins: Plugins }): Promise<Translation & Provenance> {
  const flow = new Flow(options.plugins, { encodesLater: true });
  const batch = await options.source.read();
  throwFaults(flow.graph.batch(() => apply(flow, options.source.name, batch.changes)));
  const outside = new Map<string, readonly Problem[]>(batch.problems ?? []);
  return viewOf(flow, [options.source], () => [...outside.values()].flat());
}

export interface ControlPlaneOptions {
  readonly sources: readonly Source[];
  readonly consumers: readonly ResourceConsumer[];
  readonly plugins: Plugins;
  readonly log: Logger;
  /** Where good versions are remembered across restarts. */
  readonly store?: StateStore;
  /** Key material travels by SDS; otherwise it stands inside of clusters and listeners. */
  readonly secretsApart?: boolean;
  /** Look outside for addresses and Upstreams, where types can and Settings say so. */
  readonly looksOutside?: boolean;
  /** How often services are asked for their functions, where that is not the usual. */
  readonly functionPace?: Pace;
  /** Where Headworks itself listens on this machine: discovery asks nobody there. */
  readonly ownPorts?: readonly number[];
}

/** Follows its sources from the call of `start` until it is disposed. */
export class ControlPlane implements AsyncDisposable {
  readonly #options: ControlPlaneOptions;
  readonly #flow: Flow;
  readonly #publisher: Publisher;
  readonly #memory: Memory;
  readonly #blame = new Blame();
  readonly #ended = new AbortController();
  readonly #listeners = new Set<(report: BatchReport) => void>();
  readonly #judgedListeners = new Set<(keys: readonly ResourceKey[]) => void>();
  readonly #fileProblems = new FileProblems();
  readonly #unknown: UnknownAtStart;
  readonly #sources: readonly Source[];
  readonly #edges: Edges;
  readonly #discovery: DiscoverySource | undefined;
  readonly #functions: Functions | undefined;
  readonly #names: EndpointNames | undefined;
  readonly #waitingFor: Set<string>;
  readonly #following: Promise<void>[] = [];
  #finding: Promise<void> = Promise.resolve();
  #pending: { readonly source: Source; readonly batch: SourceBatch }[] = [];
  #isScheduled = false;
  #isServing = false;
  #ready = Promise.withResolvers<void>();
  /** Every source but discovery, which needs their Settings, has spoken. */
  readonly #othersSpoke = Promise.withResolvers<void>();

  constructor(options: ControlPlaneOptions) {
    this.#options = options;
    this.#flow = new Flow(options.plugins, { secretsApart: options.secretsApart ?? false }, (fault) =>
      this.#logFault(fault, "what follows a change met a fault of ours; the change is served"),
    );
    this.#memory = new Memory(this.#flow, options.store);
    this.#publisher = new Publisher(this.#flow, options.consumers, (fault) =>
      this.#logFault(fault, "a consumer failed; it goes on with what it has"),
    );
    this.#unknown = new UnknownAtStart(this.#flow, this.#fileProblems, options.consumers);
    this.#edges = new Edges({
      flow: this.#flow,
      plugins: options.plugins,
      log: options.log,
      schedule: (edit) => this.#schedule(edit),
    });
    const remembered = rememberedUpstreams(options.store);
    this.#discovery = options.looksOutside ? this.#discover(options, remembered) : undefined;
    this.#functions = options.looksOutside ? this.#functionsOf(options, remembered) : undefined;
    this.#names = options.looksOutside
      ? new EndpointNames({ flow: this.#flow, schedule: (edit) => this.#schedule(edit), signal: this.#ended.signal })
      : undefined;
    this.#sources = this.#discovery ? [...options.sources, this.#discovery] : options.sources;
    this.#waitingFor = new Set(this.#sources.map((source) => source.name));
  }

  #discover({ plugins }: ControlPlaneOptions, remembered: readonly Resource<"Upstream">[]): DiscoverySource {
    return discoverySource({
      types: Object.values(plugins.upstreamTypes),
      contextOf: (kind, signal) => this.#edges.contextOf(`discovery of ${kind}`, signal),
      isTaken: (key) => this.#flow.isGivenByAnother("discovery", key),
      startsAfter: this.#othersSpoke.promise,
      remembered: remembered.filter(({ origin }) => origin.source === "discovery"),
    });
  }

  #functionsOf({ plugins, functionPace, ownPorts, store }: ControlPlaneOptions, remembered: readonly Resource<"Upstream">[]): Functions {
    return new Functions({
      flow: this.#flow,
      plugins,
      remembered,
      contextOf: (reporter, signal) => this.#edges.contextOf(reporter, signal),
      schedule: (edit) => this.#schedule(edit),
      ...(functionPace && { pace: functionPace }),
      ...(ownPorts && { ownPorts }),
      ...(store && { store }),
    });
  }

  /** Begins to follow the sources. */
  start(): this {
    for (const source of this.#sources) this.#following.push(this.#follow(source));
    if (this.#discovery) {
      this.#edges.start();
      this.#names?.start();
      const discovery = this.#discovery;
      this.#flow.graph.observe(this.#flow.settings, () => discovery.restart());
      void this.ready.then(() => {
        this.#finding = this.#findFunctions();
      }, ignore);
    }
    return this;
  }

  /** Resolves when every source has delivered all it had at the start, and consumers have what came of it. */
  get ready(): Promise<void> {
    return this.#ready.promise;
  }

  /** Resolves when all that it was told until now is in {@link current}. */
  async caughtUp(): Promise<void> {
    while (this.#isScheduled) await nextTurn();
  }

  /** What the configuration comes to right now. Computed when asked. */
  get current(): Translation & Provenance {
    return viewOf(this.#flow, this.#sources, () => this.#fileProblems.all);
  }

  /** Calls after each batch; returns what ends that. */
  onBatch(listener: (report: BatchReport) => void): () => void {
    this.#listeners.add(listener);
    return () => this.#listeners.delete(listener);
  }

  /** A client refused a resource: the resources it was made from are to blame, and fall back to their last good version. */
  refuse(refusal: Refusal): void {
    this.#schedule(() => {
      if (noteRefusal(refusal, this.#flow, this.#blame, this.#memory)) return;
      const { proxy, node, message, resource } = refusal;
      this.#options.log.error(
        { proxy, node, typeUrl: resource.typeUrl, name: resource.name, message },
        "an Envoy refused this, and no resource is known to be at fault; no Envoy is sent this version",
      );
    });
  }

  /** A client that could not bind a listener asks for it again: whoever was to blame for that gets another chance. */
  retry(listener: string): void {
    const unbound = unboundBy(listener, this.#flow);
    if (unbound.length === 0) return;
    this.#schedule(() => {
      for (const key of unbound) this.#flow.inputs.refused.delete(key);
    });
  }

  /** Calls with the resources about which something else is to be said than before; returns what ends that. */
  onJudged(listener: (keys: readonly ResourceKey[]) => void): () => void {
    this.#judgedListeners.add(listener);
    return () => this.#judgedListeners.delete(listener);
  }

  /** What there is to say about resources at this moment. */
  get verdicts(): Verdicts {
    return verdictsOf(this.#flow, () => this.#waitingFor.size === 0);
  }

  /**
   * The findings that a change in a source would bring, of all resources, without making it. Undefined until every source has spoken:
   * then all would be missing.
   */
  tryOut(source: string, change: Exclude<Change, { kind: "reset" }>): readonly Problem[] | undefined {
    return this.#waitingFor.size > 0 ? undefined : problemsOfTrial(this.#flow, source, change);
  }

  get settings(): Spec<"Settings"> {
    return this.#flow.settings.value;
  }

  /** Has the Upstreams that discovery finds written to the cluster until the signal aborts: while we are the leader. */
  async writeDiscovered(options: Omit<WriteDiscoveredOptions, "flow" | "log">): Promise<void> {
    await this.ready;
    const signal = AbortSignal.any([options.signal, this.#ended.signal]);
    if (!signal.aborted) writeDiscovered({ ...options, signal, flow: this.#flow, log: this.#options.log });
  }

  /** Replaces what a reporter (the embedded data plane, an edge of a plug-in) has found about resources. */
  report(reporter: string, problems: readonly Problem[]): void {
    this.#schedule(() => this.#flow.report(reporter, problems));
  }

  /** Nobody's requests wait for this. */
  async #findFunctions(): Promise<void> {
    await this.#functions?.run(this.#ended.signal).catch((error: unknown) => {
      if (this.#ended.signal.aborted) return;
      this.#options.log.error({ error: String((error as Error)?.stack ?? error) }, "discovery of functions ended; what was found stays");
    });
  }

  async #follow(source: Source): Promise<void> {
    try {
      for await (const batch of source.watch(this.#ended.signal)) {
        this.#pending.push({ source, batch });
        this.#schedule();
      }
    } catch (error) {
      if (this.#ended.signal.aborted) return;
      this.#options.log.error(
        { source: source.name, error: String(error) },
        "a source ended with a fault of ours; what it gave stays in service",
      );
      this.#ready.reject(error);
    }
  }

  #edits: (() => void)[] = [];

  /** One batch for all that is waiting when its turn comes; the first change after quiet waits for nothing. */
  #schedule(edit?: () => void): void {
    if (edit) this.#edits.push(edit);
    if (this.#isScheduled) return;
    this.#isScheduled = true;
    void nextTurn().then(() => {
      this.#isScheduled = false;
      if (this.#ended.signal.aborted) return;
      try {
        this.#settle();
      } catch (fault) {
        this.#logFault(fault, "a batch of changes met a fault of ours; what was in service stays");
        this.#ready.reject(fault);
      }
    });
  }

  #settle(): void {
    const pending = this.#pending;
    const edits = this.#edits;
    this.#pending = [];
    this.#edits = [];
    const noticedAt = Math.min(performance.now(), ...pending.map(({ batch }) => batch.noticedAt ?? Number.POSITIVE_INFINITY));
    const result = this.#flow.graph.batch(() => {
      for (const { source, batch } of pending) apply(this.#flow, source.name, batch.changes);
      for (const edit of edits) this.#attempt(edit, "what was found outside could not be taken in; what was found before stays");
    });
    const noted = this.#fileProblems.note(pending.map(({ batch }) => batch));
    for (const { collection, key, error } of result.failures) {
      this.#options.log.error(
        { collection, key, error: String((error as Error)?.stack ?? error) },
        "a fault of ours; what was to be made is left out",
      );
    }
    for (const [key, fault] of this.#flow.faultsOf(result)) {
      this.#options.log.error(
        { resource: key, error: String((fault as Error)?.stack ?? fault) },
        "a plug-in failed; the resource keeps what it had",
      );
    }
    const isFirst = !this.#isServing;
    for (const { source } of pending) this.#waitingFor.delete(source.name);
    if (![...this.#waitingFor].some((name) => name !== this.#discovery?.name)) this.#othersSpoke.resolve();
    // Nobody is served before every source has spoken: half of a configuration is a wrong one.
    if (this.#waitingFor.size > 0 || (isFirst && this.#names?.isWaiting)) return;
    this.#isServing = true;
    if (isFirst) this.#noteUnknown();
    const published = carryOut(this.#publisher, this.#memory, isFirst ? undefined : result);
    // When what was mended is published, which may be the very thing that clients kept.
    if (!isFirst && this.#unknown.hasEnded()) this.#options.log.info({}, "all that could not be read at the start can be, or is gone");
    if (isFirst) this.#blame.note(this.#memory.editedWhileAway, published.sent);
    else this.#blame.note(changedVersions(this.#flow, result), published.sent);
    // The first time, also of sources that spoke before the others did.
    const fileProblems = isFirst ? { has: this.#fileProblems.all, mended: [] } : noted;
    this.#tell({ result, published, fileProblems, milliseconds: performance.now() - noticedAt, isFirst });
    this.#tellJudged(result, isFirst);
    if (isFirst) this.#ready.resolve();
  }

  #noteUnknown(): void {
    const unknown = this.#unknown.begin(this.#options.store);
    if (unknown.length === 0 || this.#options.consumers.every(({ keepUnknown }) => keepUnknown === undefined)) return;
    this.#options.log.warn(
      { unknown: unknown.slice(0, 20), count: unknown.length },
      "what cannot be read is not known from before either: nothing that proxies have from before this start is taken from them until it is mended",
    );
  }

  #tell(batch: SettledBatch): void {
    if (this.#listeners.size === 0) return;
    const report = batchReport(this.#flow, this.#sources, batch);
    for (const listener of this.#listeners) this.#attempt(() => listener(report), "a report of a batch was not taken");
  }

  #tellJudged(result: BatchResult, isFirst: boolean): void {
    if (this.#judgedListeners.size === 0) return;
    const keys = isFirst ? [...this.verdicts.keys()] : judgedAnew(this.#flow, result);
    if (keys.length === 0) return;
    for (const listener of this.#judgedListeners) this.#attempt(() => listener(keys), "a listener for statuses failed");
  }

  /** Configuration that meets a fault of ours must not end what serves everybody else. */
  #attempt(action: () => void, otherwise: string): void {
    try {
      action();
    } catch (fault) {
      this.#logFault(fault, otherwise);
    }
  }

  #logFault(fault: unknown, message: string): void {
    this.#options.log.error({ error: String((fault as Error)?.stack ?? fault) }, message);
  }

  async [Symbol.asyncDispose](): Promise<void> {
    this.#ended.abort();
    await this.#edges[Symbol.asyncDispose]();
    await Promise.all(this.#following);
    // Functions are remembered, too.
    await this.#finding;
    await this.#options.store?.[Symbol.asyncDispose]();
  }
}

/** Said already: who waits for it to be ready hears it. */
const ignore = () => undefined;

function rememberedUpstreams(store: StateStore | undefined): Resource<"Upstream">[] {
  return (store?.remembered ?? []).filter(({ key }) => key.startsWith("Upstream ")).map(({ resource }) => resource as Resource<"Upstream">);
}

/** Puts what a source says into the graph. Inside of a batch only. */
function apply(flow: Flow, source: string, changes: readonly Change[]): void {
  for (const change of changes) {
    switch (change.kind) {
      case "apply":
        flow.apply(source, change.resource);
        break;
      case "delete":
        flow.delete(source, change.key);
        break;
      case "reset":
        flow.reset(source, change.resources);
        break;
    }
  }
}

function changedVersions(flow: Flow, result: BatchResult): ReadonlyMap<ResourceKey, string> {
  const changed = changedResources(flow, result);
  const all = [...changed, ...releasedWith(changed, flow.inputs)];
  return new Map(
    all.flatMap((key) => {
      const version = flow.given(key)?.version;
      return version === undefined ? [] : [[key, version] as const];
    }),
  );
}

function throwFaults(result: BatchResult): void {
  const [failure] = result.failures;
  if (failure) throw new Error(`translation of ${failure.key} (${failure.collection}) failed`, { cause: failure.error });
}
