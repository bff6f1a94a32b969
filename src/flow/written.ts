// Has the Upstreams that discovery finds written to the cluster, while somebody wants that: where they are objects, users see and
// edit them, and functions are looked for behind them.
import { type UpstreamWriter, UpstreamWriting } from "../discovery/kubernetes-writer.ts";
import type { ResourceKey } from "../model/ref.ts";
import type { Resource, Spec } from "../model/resource.ts";
import type { Logger } from "../plugin/upstream-type.ts";
import type { Flow } from "./flow.ts";

export interface WriteDiscoveredOptions {
  readonly flow: Flow;
  readonly writer: UpstreamWriter;
  /** Aborts when we are the leader no more. */
  readonly signal: AbortSignal;
  readonly log: Logger;
  /** Where Settings do not say `discovery.udsOptions.enabled`. */
  readonly byDefault: boolean;
  readonly holdMs?: number;
}

/** Objects of other namespaces may be those of another control plane. */
export function writeDiscovered({ flow, writer, signal, log, byDefault, holdMs }: WriteDiscoveredOptions): void {
  let writing: UpstreamWriting | undefined;
  let run = new AbortController();
  let wanted: string | undefined;
  const namespaceOf = (key: ResourceKey) => key.slice("Upstream ".length, key.indexOf("/"));
  const begin = () => {
    const next = namespaceWanted(flow.settings.value, byDefault);
    if (next === wanted) return;
    wanted = next;
    run.abort();
    run = new AbortController();
    writing = undefined;
    if (next === undefined) return;
    writing = new UpstreamWriting({
      writer,
      log,
      signal: AbortSignal.any([signal, run.signal]),
      found: (key) => flow.found.get(key),
      present: (key) => flow.given(key) as Resource<"Upstream"> | undefined,
      knowsServices: () => flow.inputs.given.Service.size > 0,
      ...(holdMs !== undefined && { holdMs }),
    });
    const keys = new Set([...flow.found.entries(), ...flow.inputs.given.Upstream.entries()].map(([key]) => key as ResourceKey));
    writing.start([...keys].filter((key) => namespaceOf(key) === next));
  };
  const touch = (changes: { keys(): Iterable<string> }) =>
    writing?.touch([...changes.keys()].map((key) => key as ResourceKey).filter((key) => namespaceOf(key) === wanted));
  const endings = [
    flow.graph.observe(flow.settings, begin),
    flow.graph.observe(flow.found, touch),
    flow.graph.observe(flow.inputs.given.Upstream, touch),
  ];
  signal.addEventListener("abort", () => endings.forEach((end) => void end()), { once: true });
  begin();
}

/** Where they are to be written; undefined: nowhere. */
function namespaceWanted({ discovery, discoveryNamespace }: Spec<"Settings">, byDefault: boolean): string | undefined {
  return (discovery?.udsOptions?.enabled ?? byDefault) ? discoveryNamespace || "gloo-system" : undefined;
}
