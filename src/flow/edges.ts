// Runs the hooks of Upstream types that look outside for addresses: hands them their Upstreams, and what they find to the flow.
//
// A hook runs while there are Upstreams of its type; Settings that change end it and call it anew. What it found stays until it
// finds something else, or the Upstream is gone.
import { setTimeout as delay } from "node:timers/promises";
import { Report } from "../model/problem.ts";
import type { ResourceKey } from "../model/ref.ts";
import { resourceKey } from "../model/ref.ts";
import type { Resource } from "../model/resource.ts";
import type { Plugins } from "../plugin/plugins.ts";
import type { AnyUpstreamType, EdgeContext, Logger, UpstreamOf } from "../plugin/upstream-type.ts";
import { type TypedResource, typedUpstream } from "../translate/clusters.ts";
import type { Flow } from "./flow.ts";

export interface EdgesOptions {
  readonly flow: Flow;
  readonly plugins: Plugins;
  readonly log: Logger;
  /** Runs an edit of the flow's inputs inside of the next batch. */
  readonly schedule: (edit: () => void) => void;
}

export class Edges implements AsyncDisposable {
  readonly #options: EdgesOptions;
  readonly #watchers: readonly Watcher[];
  readonly #endings: (() => void)[] = [];
  readonly #ended = new AbortController();

  constructor(options: EdgesOptions) {
    this.#options = options;
    this.#watchers = Object.values(options.plugins.upstreamTypes).flatMap((type) =>
      type.endpoints ? [new Watcher(type, options, (signal) => this.contextOf(`endpoints of ${type.kind}`, signal))] : [],
    );
  }

  /** Begins with the Upstreams that are there. */
  start(): this {
    const { flow } = this.#options;
    for (const [, upstream] of flow.upstreams.entries()) this.#hand(undefined, upstream);
    this.#endings.push(
      flow.graph.observe(flow.upstreams, (changes) => {
        for (const { before, after } of changes.values()) this.#hand(before, after);
      }),
      flow.graph.observe(flow.settings, () => {
        for (const watcher of this.#watchers) watcher.restart();
      }),
    );
    return this;
  }

  /** What a hook that looks outside is given. */
  contextOf(reporter: string, signal: AbortSignal): EdgeContext {
    const { flow, log, schedule } = this.#options;
    return {
      signal: AbortSignal.any([signal, this.#ended.signal]),
      settings: () => flow.settings.value,
      secret: (ref) => (flow.given(resourceKey("Secret", ref)) as Resource<"Secret"> | undefined)?.spec,
      endpointsInService: (upstream) => flow.inputs.addresses.get(upstream),
      report: ({ resource, problems }) => {
        if (resource !== undefined) schedule(() => flow.reportOn(reporter, resource, problems));
      },
      log,
    };
  }

  #hand(before: Resource<"Upstream"> | undefined, after: Resource<"Upstream"> | undefined): void {
    const key = (after ?? before)?.key;
    if (key === undefined) return;
    const typed = after && (this.#typed(after) ?? this.#lastGood(key));
    for (const watcher of this.#watchers) watcher.set(key, typed?.type === watcher.type ? typed.upstream : undefined);
  }

  /** Undefined where its type cannot read it, or fails on it: that is said where its cluster is made. */
  #typed(upstream: Resource<"Upstream">): TypedResource | undefined {
    try {
      return typedUpstream(upstream, this.#options.plugins, new Report(upstream.key));
    } catch {
      return undefined;
    }
  }

  /** Its cluster is the one that is in service, and needs its addresses. */
  #lastGood(key: ResourceKey): TypedResource | undefined {
    const good = this.#options.flow.inputs.lastGood.Upstream.get(key);
    return good && this.#typed(good);
  }

  async [Symbol.asyncDispose](): Promise<void> {
    for (const end of this.#endings) end();
    this.#ended.abort();
    await Promise.all(this.#watchers.map((watcher) => watcher.end()));
  }
}

/** One type: its Upstreams, and its hook while there are any. */
class Watcher {
  readonly type: AnyUpstreamType;
  readonly #options: EdgesOptions;
  readonly #contextOf: (signal: AbortSignal) => EdgeContext;
  readonly #upstreams = new Map<ResourceKey, UpstreamOf<unknown>>();
  #run: AbortController | undefined;
  #running: Promise<void> = Promise.resolve();
  #wake: () => void = () => undefined;
  #hasNews = false;

  constructor(type: AnyUpstreamType, options: EdgesOptions, contextOf: (signal: AbortSignal) => EdgeContext) {
    this.type = type;
    this.#options = options;
    this.#contextOf = contextOf;
  }

  set(key: ResourceKey, upstream: UpstreamOf<unknown> | undefined): void {
    if (upstream === undefined) {
      if (!this.#upstreams.delete(key)) return;
      const { flow, schedule } = this.#options;
      schedule(() => {
        if (!this.#upstreams.has(key)) flow.inputs.addresses.delete(key);
      });
    } else this.#upstreams.set(key, upstream);
    this.#hasNews = true;
    this.#wake();
    if (this.#upstreams.size === 0) this.#run?.abort();
    else if (this.#run === undefined || this.#run.signal.aborted) this.#start();
  }

  restart(): void {
    if (this.#run === undefined || this.#run.signal.aborted) return;
    this.#run.abort();
    this.#start();
  }

  async end(): Promise<void> {
    this.#run?.abort();
    this.#wake();
    await this.#running;
  }

  #start(): void {
    const run = new AbortController();
    this.#run = run;
    const before = this.#running;
    this.#running = before.then(() => this.#follow(run.signal));
  }

  /** Runs the hook until the signal aborts; again when it fails, which is a fault of the type. */
  async #follow(signal: AbortSignal): Promise<void> {
    const { flow, log, schedule } = this.#options;
    const context = this.#contextOf(signal);
    for (let failures = 0; !context.signal.aborted; failures++) {
      try {
        for await (const { key, endpoints } of this.type.endpoints?.(this.#lists(context.signal), context) ?? []) {
          failures = 0;
          // An answer may come when its Upstream is gone already.
          schedule(() => {
            if (this.#upstreams.has(key)) flow.inputs.addresses.set(key, endpoints);
          });
        }
        // It has nothing to ask with these Settings.
        return;
      } catch (error) {
        if (context.signal.aborted) return;
        log.error(
          { kind: this.type.kind, error: error instanceof Error ? error.stack : String(error) },
          "looking for endpoints failed; what was found stays in service",
        );
      }
      await delay(Math.min(60_000, 1000 * 2 ** failures), undefined, { signal: context.signal }).catch(() => undefined);
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
        yield [...this.#upstreams.values()];
      } else {
        await new Promise<void>((resolve) => {
          this.#wake = resolve;
        });
      }
    }
  }
}
