// Discovery of functions by the types of Upstreams themselves (AWS Lambda): runs a type's functions() while there are Upstreams to ask
// for, and yields what it finds. Settings that change end it and call it anew; an outage is the type's to get over. What was found stays
// until something else is found, or the Upstream is gone. Whom to ask is function-plan.ts, what comes of an answer overlay.ts.
import { setTimeout as delay } from "node:timers/promises";
import { Latest } from "../lib/latest.ts";
import { Report } from "../model/problem.ts";
import type { ResourceKey } from "../model/ref.ts";
import type { Resource, Spec } from "../model/resource.ts";
import type { AnyUpstreamType, EdgeContext, Logger, UpstreamOf } from "../plugin/upstream-type.ts";
import { isAskedByType } from "./function-plan.ts";
import type { FunctionsFound } from "./overlay.ts";

export interface TypeFunctionsOptions {
  /** All Upstreams as sources deliver them, whenever one changes or the Settings do. */
  readonly upstreams: AsyncIterable<readonly Resource<"Upstream">[]>;
  /** All types; those without functions() are left alone. */
  readonly types: Iterable<AnyUpstreamType>;
  /** An Upstream as its type sees it; undefined where the type cannot read it. */
  readonly typed: (
    upstream: Resource<"Upstream">,
  ) => { readonly type: AnyUpstreamType; readonly upstream: UpstreamOf<unknown> } | undefined;
  readonly settings: () => Spec<"Settings">;
  readonly namespaceLabels: (namespace: string) => Readonly<Record<string, string>> | undefined;
  /** What functions() is given. Called for each run: `signal` ends that run. */
  readonly contextOf: (kind: string, signal: AbortSignal) => EdgeContext;
  readonly log: Logger;
  readonly signal: AbortSignal;
}

/** Runs until the signal aborts. An Upstream that is gone yields a last word without a spec. */
export async function* discoverTypeFunctions(options: TypeFunctionsOptions): AsyncGenerator<FunctionsFound> {
  const ended = new AbortController();
  const signal = AbortSignal.any([options.signal, ended.signal]);
  const found = new Latest<ResourceKey, FunctionsFound>(signal);
  const runs = [...options.types].flatMap((type) => (type.functions ? [new TypeRun(type, options, signal, found)] : []));
  if (runs.length === 0) return;
  follow().catch((fault: unknown) => {
    if (!signal.aborted) options.log.error({ error: stackOf(fault) }, "discovery of functions by types ended; what was found stays");
  });
  try {
    yield* found;
  } finally {
    ended.abort();
  }

  async function follow(): Promise<void> {
    let lastSettings: Spec<"Settings"> | undefined;
    for await (const list of options.upstreams) {
      if (signal.aborted) return;
      const settings = options.settings();
      const isAllNew = lastSettings !== undefined && settings !== lastSettings;
      lastSettings = settings;
      for (const run of runs) run.look(list, settings, isAllNew);
    }
  }
}

/** One type: the Upstreams that it is asked about, and its hook while there are any. */
class TypeRun {
  readonly #type: AnyUpstreamType;
  readonly #options: TypeFunctionsOptions;
  readonly #signal: AbortSignal;
  readonly #found: Latest<ResourceKey, FunctionsFound>;
  readonly #asked = new Map<ResourceKey, { readonly resource: Resource<"Upstream">; readonly upstream: UpstreamOf<unknown> }>();
  /** Something was found for them, and they are still there. */
  readonly #known = new Set<ResourceKey>();
  #run: AbortController | undefined;
  #hasNews = false;
  #wake: () => void = () => undefined;

  constructor(type: AnyUpstreamType, options: TypeFunctionsOptions, signal: AbortSignal, found: Latest<ResourceKey, FunctionsFound>) {
    this.#type = type;
    this.#options = options;
    this.#signal = signal;
    this.#found = found;
  }

  look(list: readonly Resource<"Upstream">[], settings: Spec<"Settings">, isAllNew: boolean): void {
    const here = list.filter(({ spec, custom }) => (custom?.kind ?? spec?.upstreamType.case) === this.#type.kind);
    const keys = new Set(here.map(({ key }) => key));
    for (const key of this.#known) {
      if (keys.has(key)) continue;
      this.#known.delete(key);
      this.#found.put(key, { key, spec: undefined });
    }
    const asked = new Set(here.filter((each) => isAskedByType(each, settings, this.#options.namespaceLabels)).map(({ key }) => key));
    for (const key of this.#asked.keys()) if (!asked.has(key)) this.#leave(key);
    for (const resource of here) if (asked.has(resource.key)) this.#ask(resource);
    this.#startOrStop(isAllNew);
  }

  #ask(resource: Resource<"Upstream">): void {
    if (this.#asked.get(resource.key)?.resource === resource) return;
    const typed = this.#typed(resource);
    if (typed?.type === this.#type) {
      this.#asked.set(resource.key, { resource, upstream: typed.upstream });
      this.#note();
    } else this.#leave(resource.key);
  }

  /** Undefined where its type fails on it, too: that is said where its cluster is made. */
  #typed(resource: Resource<"Upstream">): ReturnType<TypeFunctionsOptions["typed"]> {
    try {
      return this.#options.typed(resource);
    } catch {
      return undefined;
    }
  }

  /** Nothing is asked any more, so there is nothing to complain of. */
  #leave(key: ResourceKey): void {
    if (!this.#asked.delete(key)) return;
    this.#options.contextOf(this.#type.kind, this.#signal).report(new Report(key));
    this.#note();
  }

  #note(): void {
    this.#hasNews = true;
    this.#wake();
  }

  #startOrStop(isAllNew: boolean): void {
    const isRunning = this.#run !== undefined && !this.#run.signal.aborted;
    if (isRunning && (isAllNew || this.#asked.size === 0)) {
      this.#run?.abort();
      this.#wake();
    }
    if (this.#asked.size === 0 || (isRunning && !isAllNew)) return;
    this.#run = new AbortController();
    void this.#follow(AbortSignal.any([this.#signal, this.#run.signal]));
  }

  /** Runs the hook until the signal aborts; again when it fails, which is a fault of the type. */
  async #follow(signal: AbortSignal): Promise<void> {
    const context = this.#options.contextOf(this.#type.kind, signal);
    for (let failures = 0; !signal.aborted; failures++) {
      try {
        for await (const { key, spec } of this.#type.functions?.(this.#lists(signal), context) ?? []) {
          failures = 0;
          // An answer may come when nobody asks for it any more.
          if (signal.aborted || !this.#asked.has(key)) continue;
          this.#known.add(key);
          this.#found.put(key, { key, spec });
        }
        // It has nothing to ask with these Settings.
        return;
      } catch (error) {
        if (signal.aborted) return;
        context.log.error(
          { kind: this.#type.kind, error: stackOf(error) },
          "discovery of functions failed; what was found stays in service",
        );
      }
      await delay(Math.min(60_000, 1000 * 2 ** failures), undefined, { signal }).catch(() => undefined);
    }
  }

  /** The Upstreams now, and whenever one has changed since they were last looked at. */
  async *#lists(signal: AbortSignal): AsyncGenerator<readonly UpstreamOf<unknown>[]> {
    const wake = () => this.#wake();
    signal.addEventListener("abort", wake, { once: true });
    this.#hasNews = true;
    while (!signal.aborted) {
      if (this.#hasNews) {
        this.#hasNews = false;
        yield [...this.#asked.values()].map(({ upstream }) => upstream);
      } else {
        await new Promise<void>((resolve) => {
          this.#wake = resolve;
        });
      }
    }
  }
}

function stackOf(fault: unknown): string {
  return String((fault as Error | undefined)?.stack ?? fault);
}
