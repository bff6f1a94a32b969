// Discovery of functions by the types of Upstreams themselves (AWS Lambda): runs a type's functions() while there are Upstreams to ask
// for, and yields what it finds. Settings that change end it and call it anew; an outage is the type's to get over. What was found stays
// until something else is found, or the Upstream is gone. Whom to ask is function-plan.ts, what comes of an answer overlay.ts.
import type { Upstream } from "../gen/gloo/gloo/projects/gloo/api/v1/upstream_pb.js";
import { HookRun } from "../lib/hook-run.ts";
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
  const runs = [...options.types].flatMap((type) => (type.functions ? [new TypeRun(type, type.functions, options, signal, found)] : []));
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
  readonly #asked = new Map<ResourceKey, Resource<"Upstream">>();
  /** Something was found for them, and they are still there. */
  readonly #known = new Set<ResourceKey>();
  readonly #run: HookRun<ResourceKey, UpstreamOf<unknown>, { readonly key: ResourceKey; readonly spec: Upstream }>;

  constructor(
    type: AnyUpstreamType,
    functions: NonNullable<AnyUpstreamType["functions"]>,
    options: TypeFunctionsOptions,
    signal: AbortSignal,
    found: Latest<ResourceKey, FunctionsFound>,
  ) {
    this.#type = type;
    this.#options = options;
    this.#signal = signal;
    this.#found = found;
    this.#run = new HookRun({
      hook: (upstreams, ofRun) => functions(upstreams, options.contextOf(type.kind, ofRun)),
      // An answer may come when nobody asks for it any more.
      take: ({ key, spec }) => {
        if (!this.#run.has(key)) return;
        this.#known.add(key);
        this.#found.put(key, { key, spec });
      },
      onFailure: (error) =>
        options.log.error({ kind: type.kind, error: stackOf(error) }, "discovery of functions failed; what was found stays in service"),
      signal,
    });
  }

  look(list: readonly Resource<"Upstream">[], settings: Spec<"Settings">, isAllNew: boolean): void {
    const here = list.filter(({ spec, custom }) => (custom?.kind ?? spec?.upstreamType.case) === this.#type.kind);
    const keys = new Set(here.map(({ key }) => key));
    for (const key of this.#known) {
      if (keys.has(key)) continue;
      this.#known.delete(key);
      this.#found.put(key, { key, spec: undefined });
    }
    if (isAllNew) this.#run.restart();
    const asked = new Set(here.filter((each) => isAskedByType(each, settings, this.#options.namespaceLabels)).map(({ key }) => key));
    // The last one that is asked may go, and another come: the hook runs on.
    for (const resource of here) if (asked.has(resource.key)) this.#ask(resource);
    for (const key of [...this.#asked.keys()]) if (!asked.has(key)) this.#leave(key);
  }

  #ask(resource: Resource<"Upstream">): void {
    if (this.#asked.get(resource.key) === resource) return;
    const typed = this.#typed(resource);
    if (typed?.type === this.#type) {
      this.#asked.set(resource.key, resource);
      this.#run.set(resource.key, typed.upstream);
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
    this.#run.delete(key);
    this.#options.contextOf(this.#type.kind, this.#signal).report(new Report(key));
  }
}

function stackOf(fault: unknown): string {
  return String((fault as Error | undefined)?.stack ?? fault);
}
