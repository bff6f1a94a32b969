// Runs the hooks of Upstream types that look outside for addresses: hands them their Upstreams, and what they find to the flow.
//
// A hook runs while there are Upstreams of its type; Settings that change end it and call it anew. What it found stays until it
// finds something else, or the Upstream is gone.
import { HookRun } from "../lib/hook-run.ts";
import { Report } from "../model/problem.ts";
import type { ResourceKey } from "../model/ref.ts";
import { resourceKey } from "../model/ref.ts";
import type { Resource } from "../model/resource.ts";
import type { Plugins } from "../plugin/plugins.ts";
import type { AnyUpstreamType, EdgeContext, EndpointUpdate, Logger, UpstreamOf } from "../plugin/upstream-type.ts";
import { type TypedResource, typedUpstream } from "../translate/clusters.ts";
import type { Flow } from "./flow.ts";

export interface EdgesOptions {
  readonly flow: Flow;
  readonly plugins: Plugins;
  readonly log: Logger;
  /** Runs an edit of the flow's inputs inside of the next batch. */
  readonly schedule: (edit: () => void) => void;
}

/** One type: its Upstreams, and its hook while there are any. */
interface Watcher {
  readonly type: AnyUpstreamType;
  readonly run: HookRun<ResourceKey, UpstreamOf<unknown>, EndpointUpdate>;
}

export class Edges implements AsyncDisposable {
  readonly #options: EdgesOptions;
  readonly #watchers: readonly Watcher[];
  readonly #endings: (() => void)[] = [];
  readonly #ended = new AbortController();

  constructor(options: EdgesOptions) {
    this.#options = options;
    this.#watchers = Object.values(options.plugins.upstreamTypes).flatMap((type) =>
      type.endpoints ? [this.#watcher(type, type.endpoints)] : [],
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
        for (const { run } of this.#watchers) run.restart();
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
    for (const { type, run } of this.#watchers) {
      if (typed?.type === type) run.set(key, typed.upstream);
      else if (run.delete(key)) this.#forget(key, run);
    }
  }

  #forget(key: ResourceKey, run: Watcher["run"]): void {
    const { flow, schedule } = this.#options;
    schedule(() => {
      if (!run.has(key)) flow.inputs.addresses.delete(key);
    });
  }

  #watcher(type: AnyUpstreamType, hook: NonNullable<AnyUpstreamType["endpoints"]>): Watcher {
    const { flow, log, schedule } = this.#options;
    const run: Watcher["run"] = new HookRun({
      hook: (upstreams, signal) => hook(upstreams, this.contextOf(`endpoints of ${type.kind}`, signal)),
      // An answer may come when its Upstream is gone already.
      take: ({ key, endpoints }) =>
        schedule(() => {
          if (run.has(key)) flow.inputs.addresses.set(key, endpoints);
        }),
      onFailure: (error) =>
        log.error(
          { kind: type.kind, error: error instanceof Error ? error.stack : String(error) },
          "looking for endpoints failed; what was found stays in service",
        ),
      signal: this.#ended.signal,
    });
    return { type, run };
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
    await Promise.all(this.#watchers.map(({ run }) => run.end()));
  }
}
