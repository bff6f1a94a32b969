// Discovery of functions: asks the services behind Upstreams what they offer, as often as is polite, and yields what is found. An outage
// yields nothing: what is known stays. Whom to ask is function-plan.ts, what comes of an answer overlay.ts, how one asks functions/*.
import { setTimeout as delay } from "node:timers/promises";
import { equals } from "@bufbuild/protobuf";
import { type ServiceSpec, ServiceSpecSchema } from "../gen/gloo/gloo/projects/gloo/api/v1/options/service_spec_pb.js";
import { Latest } from "../lib/latest.ts";
import { Semaphore } from "../lib/semaphore.ts";
import { Report } from "../model/problem.ts";
import { formatRef, type Ref, type ResourceKey } from "../model/ref.ts";
import type { Resource, Spec } from "../model/resource.ts";
import type { FoundFunctions, FunctionAnswer, FunctionKind } from "../plugin/function-kind.ts";
import type { Endpoint, Logger } from "../plugin/upstream-type.ts";
import { type FunctionPlan, functionPlan } from "./function-plan.ts";
import { AddressRefused, functionTarget, placeOf } from "./function-target.ts";
import type { FunctionsFound } from "./overlay.ts";

/** An Upstream as a source delivers it, without functions that were found. */
export interface FunctionUpstream {
  readonly resource: Resource<"Upstream">;
  /** Of a type whose addresses are not in the Upstream. */
  readonly endpoints: readonly Endpoint[];
}

export interface FunctionDiscoveryOptions {
  /** All of them, whenever one changes or its Settings do. */
  readonly upstreams: AsyncIterable<readonly FunctionUpstream[]>;
  readonly kinds: readonly FunctionKind[];
  readonly settings: () => Spec<"Settings">;
  readonly secret: (ref: Ref) => Spec<"Secret"> | undefined;
  /** Labels of a Namespace of Kubernetes. */
  readonly namespaceLabels?: (namespace: string) => Readonly<Record<string, string>> | undefined;
  /** What listens there on this machine are we ourselves, and not asked. */
  readonly ownPorts?: readonly number[];
  /** Findings about one Upstream; replaces those before. */
  readonly report: (report: Report) => void;
  readonly log: Logger;
  readonly signal: AbortSignal;
  readonly pace?: Pace;
  /** 0 to 1; for jitter. */
  readonly random?: () => number;
}

export interface Pace {
  /** The first question comes within so many milliseconds. */
  readonly firstMs: number;
  /** After a failure, doubled each time. */
  readonly retryMs: number;
  readonly maxRetryMs: number;
  /** Between two rounds of questions to one service, whatever the Upstreams. */
  readonly gapMs: number;
  readonly parallel: number;
  /** In place of each kind's own. */
  readonly refreshMs?: number;
}

const politePace: Pace = { firstMs: 2_000, retryMs: 1_000, maxRetryMs: 600_000, gapMs: 1_000, parallel: 8 };

/** Runs until the signal aborts. An Upstream that is gone yields a last word without a spec. */
export async function* discoverFunctions(options: FunctionDiscoveryOptions): AsyncGenerator<FunctionsFound> {
  const ended = new AbortController();
  const signal = AbortSignal.any([options.signal, ended.signal]);
  const found = new Latest<ResourceKey, FunctionsFound>(signal);
  const budget = new Budget(options.pace ?? politePace);
  const jobs = new Map<ResourceKey, Job>();
  const seen = new Map<ResourceKey, { readonly each: FunctionUpstream; readonly labels: unknown }>();
  const labelsOf = options.namespaceLabels ?? (() => undefined);
  let lastSettings: Spec<"Settings"> | undefined;
  follow().catch((fault: unknown) => {
    if (!signal.aborted) options.log.error({ err: fault }, "discovery of functions ended");
  });
  try {
    yield* found;
  } finally {
    ended.abort();
  }

  async function follow(): Promise<void> {
    for await (const list of options.upstreams) {
      if (signal.aborted) return;
      const settings = options.settings();
      const isAllNew = settings !== lastSettings;
      lastSettings = settings;
      const keys = new Set(list.map(({ resource }) => resource.key));
      for (const [key, job] of jobs)
        if (!keys.has(key)) {
          job.end();
          jobs.delete(key);
          found.put(key, { key, spec: undefined });
        }
      for (const key of seen.keys()) if (!keys.has(key)) seen.delete(key);
      for (const each of list) if (isNew(each) || isAllNew) consider(each);
    }
  }

  /** Of thousands of Upstreams, one changes at a time. */
  function isNew(each: FunctionUpstream): boolean {
    const { key, spec, ref } = each.resource;
    const namespace = spec?.upstreamType.case === "kube" ? spec.upstreamType.value.serviceNamespace : ref.namespace;
    const labels = labelsOf(namespace);
    const last = seen.get(key);
    seen.set(key, { each, labels });
    return last?.each.resource !== each.resource || last.each.endpoints !== each.endpoints || last.labels !== labels;
  }

  function consider(each: FunctionUpstream): void {
    const { key } = each.resource;
    const plan = functionPlan(each.resource, options.settings(), options.kinds, labelsOf);
    const place = plan && placeOf(each.resource, each.endpoints);
    const running = jobs.get(key);
    if (plan === undefined || place === undefined) {
      // What was found stays: being left alone is no loss of functions.
      running?.end();
      if (running) jobs.set(key, new Job(each, undefined, "", options, budget, signal, found));
      return;
    }
    if (running?.isFor(place, plan)) {
      running.upstream = each;
      return;
    }
    running?.end();
    const job = new Job(each, plan, place, options, budget, signal, found);
    jobs.set(key, job);
    job.start();
  }
}

/** One Upstream, asked again and again. */
class Job {
  upstream: FunctionUpstream;
  readonly #plan: FunctionPlan | undefined;
  readonly #place: string;
  readonly #options: FunctionDiscoveryOptions;
  readonly #budget: Budget;
  readonly #found: Latest<ResourceKey, FunctionsFound>;
  readonly #ended = new AbortController();
  readonly #signal: AbortSignal;
  /** Who found something, and asks alone from then on. */
  #winner: { readonly kind: FunctionKind; readonly found: FoundFunctions } | undefined;

  constructor(
    upstream: FunctionUpstream,
    plan: FunctionPlan | undefined,
    place: string,
    options: FunctionDiscoveryOptions,
    budget: Budget,
    signal: AbortSignal,
    found: Latest<ResourceKey, FunctionsFound>,
  ) {
    this.upstream = upstream;
    this.#plan = plan;
    this.#place = place;
    this.#options = options;
    this.#budget = budget;
    this.#found = found;
    this.#signal = AbortSignal.any([signal, this.#ended.signal]);
  }

  isFor(place: string, plan: FunctionPlan): boolean {
    return (
      this.#plan !== undefined &&
      place === this.#place &&
      sameSpec(plan.begun, this.#plan.begun) &&
      plan.kinds.length === this.#plan.kinds.length
    );
  }

  /** Nothing is asked any more, so there is nothing to complain of. */
  end(): void {
    this.#ended.abort();
    if (this.#plan !== undefined) this.#options.report(new Report(this.upstream.resource.key));
  }

  start(): void {
    this.#run().catch((fault: unknown) => {
      if (!this.#signal.aborted)
        this.#options.log.error({ err: fault, upstream: this.#name }, "discovery of functions ended for an Upstream");
    });
  }

  get #name(): string {
    return formatRef(this.upstream.resource.ref);
  }

  async #run(): Promise<void> {
    const pace = this.#options.pace ?? politePace;
    const random = this.#options.random ?? Math.random;
    let waitMs = pace.firstMs * random();
    let failures = 0;
    for (;;) {
      await delay(waitMs, undefined, { signal: this.#signal });
      const isFine = await this.#round();
      failures = isFine ? 0 : failures + 1;
      const refreshMs = pace.refreshMs ?? this.#winner?.kind.refreshMs ?? pace.maxRetryMs;
      waitMs = (isFine ? refreshMs : Math.min(pace.retryMs * 2 ** (failures - 1), pace.maxRetryMs)) * (0.8 + 0.4 * random());
    }
  }

  /** False when it has to be tried again soon. */
  async #round(): Promise<boolean> {
    const { resource } = this.upstream;
    const report = new Report(resource.key);
    const isExpected = this.#winner !== undefined || this.#plan?.begun !== undefined;
    try {
      const answer = await this.#budget.spend(this.#place, this.#signal, () => this.#ask());
      if (answer.kind === "absent") {
        if (isExpected)
          report.warn("FunctionsUnreachable", "the service answers, and says nothing about functions; it will be asked again");
        return false;
      }
      const leftOut = this.#winner?.found.leftOut ?? [];
      if (leftOut.length > 0) report.warn("FunctionsLeftOut", `left out: ${leftOut.join(", ")}`);
      return true;
    } catch (fault) {
      this.#signal.throwIfAborted();
      const message = fault instanceof Error ? fault.message : String(fault);
      if (fault instanceof AddressRefused) report.warn("FunctionAddressRefused", `it is not asked for functions: ${message}`);
      else if (isExpected) report.warn("FunctionsUnreachable", `asking it for its functions failed: ${message.slice(0, 500)}`);
      this.#options.log.debug({ upstream: this.#name, err: message }, "no functions found");
      return false;
    } finally {
      if (!this.#signal.aborted) this.#options.report(report);
    }
  }

  async #ask(): Promise<FunctionAnswer> {
    const { resource, endpoints } = this.upstream;
    const target = await functionTarget(resource, endpoints, this.#options.secret, this.#options.ownPorts);
    const kinds = this.#winner ? [this.#winner.kind] : (this.#plan?.kinds ?? []);
    // gRPC speaks HTTP/2: where that is said, it is the likelier one.
    const ordered = resource.spec?.useHttp2 ? kinds.toReversed() : kinds;
    let last: FunctionAnswer = { kind: "absent" };
    let fault: unknown;
    for (const kind of ordered) {
      this.#signal.throwIfAborted();
      try {
        last = await kind.ask({ target, begun: this.#plan?.begun, memo: this.#winner?.found.memo, signal: this.#signal });
        if (last.kind === "found") this.#take(kind, last.found);
        if (last.kind !== "absent") return last;
        fault = undefined;
      } catch (each) {
        fault ??= each;
      }
    }
    if (fault !== undefined) throw fault;
    return last;
  }

  #take(kind: FunctionKind, found: FoundFunctions): void {
    const before = this.#winner?.found;
    if (before && before.count > 0 && found.count === 0) throw new Error("all its functions are gone at once; those known before are kept");
    this.#winner = { kind, found };
    if (before && sameSpec(before.spec, found.spec)) return;
    this.#found.put(this.upstream.resource.key, { key: this.upstream.resource.key, spec: found.spec });
    this.#options.log.info({ upstream: this.#name, kind: kind.kind, functions: found.count }, "functions found");
  }
}

function sameSpec(a: ServiceSpec | undefined, b: ServiceSpec | undefined): boolean {
  return a === b || (a !== undefined && b !== undefined && equals(ServiceSpecSchema, a, b));
}

/** So many rounds at once, one at a time for each service, and a pause in between. */
class Budget {
  readonly #pace: Pace;
  readonly #places = new Map<string, Promise<void>>();
  readonly #semaphore: Semaphore;

  constructor(pace: Pace) {
    this.#pace = pace;
    this.#semaphore = new Semaphore(pace.parallel);
  }

  async spend<T>(place: string, signal: AbortSignal, work: () => Promise<T>): Promise<T> {
    const before = this.#places.get(place);
    let done = () => {};
    const mine = new Promise<void>((resolve) => {
      done = resolve;
    });
    const queue = (before ?? Promise.resolve()).then(() => mine);
    this.#places.set(place, queue);
    try {
      await before;
      signal.throwIfAborted();
      return await this.#semaphore.run(() => {
        signal.throwIfAborted();
        return work();
      });
    } finally {
      setTimeout(() => {
        done();
        if (this.#places.get(place) === queue) this.#places.delete(place);
      }, this.#pace.gapMs).unref();
    }
  }
}
