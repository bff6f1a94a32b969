// Runs the discovery of functions: what services say of themselves is laid over the Upstreams that sources give.
import { setTimeout as delay } from "node:timers/promises";
import type { FunctionUpstream } from "../discovery/functions.ts";
import { FunctionOverlay } from "../discovery/overlay.ts";
import type { ResourceKey } from "../model/ref.ts";
import { resourceKey } from "../model/ref.ts";
import type { Resource } from "../model/resource.ts";
import type { EdgeContext, Endpoint } from "../plugin/upstream-type.ts";
import type { Flow } from "./flow.ts";

/** Changes are looked at together: a list of all Upstreams is made for each look. */
const lookEveryMs = 500;

const none: readonly Endpoint[] = [];

export class Functions {
  readonly overlay: FunctionOverlay;
  readonly #flow: Flow;
  #hasNews = true;
  #wake: () => void = () => undefined;

  constructor(flow: Flow, remembered: readonly Resource<"Upstream">[]) {
    this.#flow = flow;
    this.overlay = new FunctionOverlay(remembered);
    flow.overlay = this.overlay;
  }

  /** Runs until the signal of the context aborts. What is found is handed to `schedule` as an edit of the flow's inputs. */
  async run(context: EdgeContext, schedule: (edit: () => void) => void): Promise<void> {
    const flow = this.#flow;
    const note = () => {
      this.#hasNews = true;
      this.#wake();
    };
    const endings = [
      flow.graph.observe(flow.inputs.given.Upstream, note),
      flow.graph.observe(flow.inputs.given.Namespace, note),
      flow.graph.observe(flow.inputs.addresses, note),
      flow.graph.observe(flow.settings, note),
    ];
    context.signal.addEventListener("abort", note, { once: true });
    try {
      // Loaded when there may be something to ask: the client of gRPC is large.
      const [{ discoverFunctions }, { swagger }, { grpc }] = await Promise.all([
        import("../discovery/functions.ts"),
        import("../functions/swagger/swagger.ts"),
        import("../functions/grpc/grpc.ts"),
      ]);
      const options = { ...context, upstreams: this.#lists(context.signal), kinds: [swagger, grpc] };
      const namespaceLabels = (name: string) => flow.given(resourceKey("Namespace", { namespace: "", name }))?.labels;
      for await (const found of discoverFunctions({ ...options, namespaceLabels })) {
        schedule(() => {
          const next = this.overlay.learn(found);
          if (next) flow.inputs.given.Upstream.set(next.key, next);
        });
      }
    } finally {
      for (const end of endings) end();
    }
  }

  async *#lists(signal: AbortSignal): AsyncGenerator<readonly FunctionUpstream[]> {
    while (!signal.aborted) {
      if (!this.#hasNews) {
        await new Promise<void>((resolve) => {
          this.#wake = resolve;
        });
        continue;
      }
      this.#hasNews = false;
      yield [...this.overlay.bases.values()].map((resource) => ({ resource, endpoints: this.#endpoints(resource.key) }));
      await delay(lookEveryMs, undefined, { signal }).catch(() => undefined);
    }
  }

  #endpoints(key: ResourceKey): readonly Endpoint[] {
    return this.#flow.inputs.addresses.get(key) ?? none;
  }
}
