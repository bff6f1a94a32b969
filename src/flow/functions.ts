// Runs the discovery of functions: what services say of themselves, and what types of Upstreams find out, is laid over the Upstreams
// that sources give.
import { setTimeout as delay } from "node:timers/promises";
import type { FunctionUpstream, Pace } from "../discovery/functions.ts";
import { FunctionOverlay, type FunctionsFound, hasFunctions, rememberedFunctions } from "../discovery/overlay.ts";
import type { Changes, Collection } from "../graph/mod.ts";
import { Report } from "../model/problem.ts";
import type { ResourceKey } from "../model/ref.ts";
import { resourceKey } from "../model/ref.ts";
import type { Resource } from "../model/resource.ts";
import type { Plugins } from "../plugin/plugins.ts";
import type { EdgeContext, Endpoint } from "../plugin/upstream-type.ts";
import type { StateStore } from "../state/store.ts";
import { typedUpstream } from "../translate/clusters.ts";
import type { Flow } from "./flow.ts";
import { functionAddresses } from "./function-addresses.ts";
import { isWatched, watchedNamespaces } from "./watched.ts";

/** Changes are looked at together: a list of all Upstreams is made for each look. */
const lookEveryMs = 500;

const none: readonly Endpoint[] = [];

export interface FunctionsOptions {
  readonly flow: Flow;
  readonly plugins: Plugins;
  /** Upstreams that were in service before a restart. */
  readonly remembered: readonly Resource<"Upstream">[];
  /** Where functions of Upstreams that nobody has written are remembered; all others are with their Upstreams. */
  readonly store?: StateStore;
  readonly contextOf: (reporter: string, signal: AbortSignal) => EdgeContext;
  /** Runs an edit of the flow's inputs inside of the next batch. */
  readonly schedule: (edit: () => void) => void;
  /** How often services are asked, where that is not the usual. */
  readonly pace?: Pace;
  /** Where we ourselves listen: nobody is asked there. */
  readonly ownPorts?: readonly number[];
}

/** Somebody who looks at all Upstreams, now and when one has changed. */
interface Look {
  hasNews: boolean;
  wake: () => void;
}

export class Functions {
  readonly overlay: FunctionOverlay;
  readonly #options: FunctionsOptions;
  /** Where services can be asked, where other resources tell. */
  readonly #addresses: readonly Collection<readonly Endpoint[]>[];
  readonly #looks = new Set<Look>();

  constructor(options: FunctionsOptions) {
    this.#options = options;
    this.overlay = new FunctionOverlay(options.remembered);
    const { flow, plugins } = options;
    flow.overlay = this.overlay;
    this.#addresses = [flow.upstreams, flow.discovered].map((upstreams) => functionAddresses(flow.graph, upstreams, flow.known, plugins));
    const unwritten = options.remembered.filter(({ origin }) => origin.source === "discovery");
    const known = unwritten.flatMap((each) => {
      const functions = rememberedFunctions(each);
      return functions === undefined ? [] : [[each.key, functions] as const];
    });
    if (known.length === 0) return;
    flow.graph.batch(() => {
      for (const [key, functions] of known) flow.inputs.functions.set(key, functions);
    });
  }

  /** Runs until the signal aborts. */
  async run(signal: AbortSignal): Promise<void> {
    const { flow, contextOf } = this.#options;
    const note = () => {
      for (const look of this.#looks) {
        look.hasNews = true;
        look.wake();
      }
    };
    const endings = [
      flow.graph.observe(flow.inputs.given.Upstream, note),
      flow.graph.observe(flow.inputs.given.Namespace, note),
      flow.graph.observe(flow.inputs.addresses, note),
      flow.graph.observe(flow.found, note),
      flow.graph.observe(flow.discovered, (changes) => {
        this.#remember(changes);
        note();
      }),
      ...this.#addresses.map((addresses) => flow.graph.observe(addresses, note)),
      flow.graph.observe(flow.settings, note),
    ];
    signal.addEventListener("abort", note, { once: true });
    try {
      await Promise.all([this.#ofServices(contextOf("functions", signal)), this.#ofTypes(signal)]);
    } finally {
      for (const end of endings) end();
    }
  }

  async #ofServices(context: EdgeContext): Promise<void> {
    const [{ discoverFunctions }, { swagger }, { grpc }] = await Promise.all([
      import("../discovery/functions.ts"),
      import("../functions/swagger/swagger.ts"),
      import("../functions/grpc/grpc.ts"),
    ]);
    const { pace, ownPorts } = this.#options;
    const upstreams = this.#lists(context.signal, (resource): FunctionUpstream => ({ resource, endpoints: this.#endpoints(resource.key) }));
    await this.#learn(
      discoverFunctions({
        ...context,
        upstreams,
        kinds: [swagger, grpc],
        namespaceLabels: (name) => this.#namespaceLabels(name),
        ...(pace && { pace }),
        ...(ownPorts && { ownPorts }),
      }),
    );
  }

  async #ofTypes(signal: AbortSignal): Promise<void> {
    const { flow, plugins, contextOf } = this.#options;
    const { discoverTypeFunctions } = await import("../discovery/type-functions.ts");
    await this.#learn(
      discoverTypeFunctions({
        upstreams: this.#lists(signal, (resource) => resource),
        types: Object.values(plugins.upstreamTypes),
        typed: (resource) => typedUpstream(resource, plugins, new Report(resource.key)),
        settings: () => flow.settings.value,
        namespaceLabels: (name) => this.#namespaceLabels(name),
        contextOf: (kind, ofRun) => contextOf(`functions of ${kind}`, ofRun),
        log: contextOf("functions of types", signal).log,
        signal,
      }),
    );
  }

  /** What is found is an edit of the flow's inputs. */
  async #learn(found: AsyncIterable<FunctionsFound>): Promise<void> {
    const { flow, schedule } = this.#options;
    for await (const each of found) {
      schedule(() => {
        const next = this.overlay.learn(each);
        if (next) flow.inputs.given.Upstream.set(next.key, next);
        if (each.spec) flow.inputs.functions.set(each.key, { spec: each.spec });
        else flow.inputs.functions.delete(each.key);
      });
    }
  }

  /** Upstreams as sources deliver them, and those that discovery finds and nobody has written. */
  #bases(): readonly Resource<"Upstream">[] {
    const { flow } = this.#options;
    const watched = watchedNamespaces(flow.settings.value);
    const given = [...this.overlay.bases.values()].filter((upstream) => isWatched(upstream, watched));
    const unwritten = flow.found.entries().flatMap(([key, upstream]) => (flow.discovered.has(key) ? [upstream] : []));
    return [...given, ...unwritten];
  }

  /** Nobody else remembers what is not written anywhere. */
  #remember(changes: Changes<Resource<"Upstream">>): void {
    const { store } = this.#options;
    for (const [key, { before, after }] of changes) {
      if (after && hasFunctions(after)) store?.remember(after);
      else if (before && hasFunctions(before) && !this.overlay.bases.has(key as ResourceKey)) store?.forget(key as ResourceKey);
    }
  }

  async *#lists<T>(signal: AbortSignal, of: (upstream: Resource<"Upstream">) => T): AsyncGenerator<readonly T[]> {
    const look: Look = { hasNews: true, wake: () => undefined };
    this.#looks.add(look);
    try {
      while (!signal.aborted) {
        if (!look.hasNews) {
          await new Promise<void>((resolve) => {
            look.wake = resolve;
          });
          continue;
        }
        look.hasNews = false;
        yield this.#bases().map(of);
        await delay(lookEveryMs, undefined, { signal }).catch(() => undefined);
      }
    } finally {
      this.#looks.delete(look);
    }
  }

  #namespaceLabels(name: string): Readonly<Record<string, string>> | undefined {
    return this.#options.flow.given(resourceKey("Namespace", { namespace: "", name }))?.labels;
  }

  #endpoints(key: ResourceKey): readonly Endpoint[] {
    const tables = [this.#options.flow.inputs.addresses, ...this.#addresses];
    return tables.find((table) => table.has(key))?.get(key) ?? none;
  }
}
