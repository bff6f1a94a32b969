// What is reported of requests to collectors: spans and entries of access logs. They are gathered and sent together, through a cluster; a collector that
// does not keep up costs reports, not memory, and never a request.

import type { Tables } from "./exchange/tables.ts";
import { ask, type Question, type WholeAnswer } from "./upstream/ask.ts";

export interface Sink<Item> {
  /** Those of the same name gather together, also over changes of the configuration. */
  readonly key: string;
  /** What is counted is counted under it, as in Envoy: `tracing.zipkin`. Undefined: nothing is. */
  readonly statPrefix: string | undefined;
  readonly cluster: string;
  readonly mostItems: number;
  readonly mostWaitMs: number;
  /** About how many bytes it is in a report. */
  sizeOf(item: Item): number;
  question(items: readonly Item[]): Question;
  isTaken(answer: WholeAnswer): boolean;
}

/** Of one sink, not sent yet or not answered. */
const mostOpen = 10_000;
const mostOpenBytes = 16 * 1_048_576;

/**
 * Of one report. Servers of gRPC refuse messages of more than 4 MiB, so that whoever sends large headers could keep what others did, and what he did
 * himself, from being reported.
 */
const mostBytes = 1_048_576;

interface Gathering {
  readonly items: unknown[];
  /** Of the items. */
  bytes: number;
  open: number;
  openBytes: number;
  sink: Sink<never>;
  timer: NodeJS.Timeout | undefined;
}

export class Telemetry {
  readonly #cluster: Tables["cluster"];
  readonly #gatherings = new Map<string, Gathering>();
  readonly #stats: Record<string, number> = {};
  readonly #asking = new Set<Promise<void>>();

  constructor(cluster: Tables["cluster"]) {
    this.#cluster = cluster;
  }

  add<Item>(sink: Sink<Item>, item: Item): void {
    const size = sink.sizeOf(item);
    const before = this.#gatheringOf(sink);
    if (before.open >= mostOpen || before.openBytes + size > mostOpenBytes) {
      this.#count(sink, "reports_dropped");
      return;
    }
    if (before.bytes > 0 && before.bytes + size > mostBytes) this.#send(before);
    const gathering = this.#gatheringOf(sink);
    gathering.items.push(item);
    gathering.bytes += size;
    gathering.open++;
    gathering.openBytes += size;
    if (gathering.items.length >= sink.mostItems) this.#send(gathering);
    else gathering.timer ??= setTimeout(() => this.#send(gathering), sink.mostWaitMs).unref();
  }

  #gatheringOf<Item>(sink: Sink<Item>): Gathering {
    let gathering = this.#gatherings.get(sink.key);
    if (gathering === undefined) {
      gathering = { items: [], bytes: 0, open: 0, openBytes: 0, sink: sink as Sink<never>, timer: undefined };
      this.#gatherings.set(sink.key, gathering);
    }
    gathering.sink = sink as Sink<never>;
    return gathering;
  }

  stats(): Readonly<Record<string, number>> {
    return this.#stats;
  }

  /** All is sent and answered, or the time is over. */
  async close(mostMs: number): Promise<void> {
    for (const gathering of this.#gatherings.values()) this.#send(gathering);
    if (this.#asking.size === 0) return;
    let timer: NodeJS.Timeout | undefined;
    const over = new Promise<void>((resolve) => {
      timer = setTimeout(resolve, mostMs);
    });
    await Promise.race([Promise.all(this.#asking), over]);
    clearTimeout(timer);
  }

  #send(gathering: Gathering): void {
    clearTimeout(gathering.timer);
    gathering.timer = undefined;
    const { sink } = gathering;
    const items = gathering.items.splice(0) as never[];
    const { bytes } = gathering;
    gathering.bytes = 0;
    if (items.length === 0) return;
    const cluster = this.#cluster(sink.cluster);
    if (cluster === undefined) {
      this.#settle(gathering, items.length, bytes);
      this.#count(sink, "reports_skipped_no_cluster");
      return;
    }
    this.#count(sink, "spans_sent", items.length);
    const asked = new Promise<void>((resolve) => {
      ask(cluster, sink.question(items), (answer) => {
        this.#settle(gathering, items.length, bytes);
        if (answer === undefined) this.#count(sink, "reports_failed");
        else this.#count(sink, sink.isTaken(answer) ? "reports_sent" : "reports_dropped");
        resolve();
      });
    }).then(() => void this.#asking.delete(asked));
    this.#asking.add(asked);
  }

  #settle(gathering: Gathering, items: number, bytes: number): void {
    gathering.open -= items;
    gathering.openBytes -= bytes;
    // A configuration that changes leaves none behind.
    if (gathering.open === 0 && this.#gatherings.get(gathering.sink.key) === gathering) this.#gatherings.delete(gathering.sink.key);
  }

  #count({ statPrefix }: Sink<never>, name: string, by = 1): void {
    if (statPrefix === undefined) return;
    const key = `${statPrefix}.${name}`;
    this.#stats[key] = (this.#stats[key] ?? 0) + by;
  }
}
