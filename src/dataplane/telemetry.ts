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
  question(items: readonly Item[]): Question;
  isTaken(answer: WholeAnswer): boolean;
}

/** Of one sink, not sent yet or not answered. */
const mostOpen = 10_000;

interface Gathering {
  readonly items: unknown[];
  open: number;
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
    let gathering = this.#gatherings.get(sink.key);
    if (gathering === undefined) {
      gathering = { items: [], open: 0, sink: sink as Sink<never>, timer: undefined };
      this.#gatherings.set(sink.key, gathering);
    }
    if (gathering.open >= mostOpen) {
      this.#count(sink, "reports_dropped");
      return;
    }
    gathering.sink = sink as Sink<never>;
    gathering.items.push(item);
    gathering.open++;
    if (gathering.items.length >= sink.mostItems) this.#send(gathering);
    else gathering.timer ??= setTimeout(() => this.#send(gathering), sink.mostWaitMs).unref();
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
    if (items.length === 0) return;
    const cluster = this.#cluster(sink.cluster);
    if (cluster === undefined) {
      gathering.open -= items.length;
      this.#count(sink, "reports_skipped_no_cluster");
      return;
    }
    this.#count(sink, "spans_sent", items.length);
    const asked = new Promise<void>((resolve) => {
      ask(cluster, sink.question(items), (answer) => {
        gathering.open -= items.length;
        if (answer === undefined) this.#count(sink, "reports_failed");
        else this.#count(sink, sink.isTaken(answer) ? "reports_sent" : "reports_dropped");
        resolve();
      });
    }).then(() => void this.#asking.delete(asked));
    this.#asking.add(asked);
  }

  #count({ statPrefix }: Sink<never>, name: string, by = 1): void {
    if (statPrefix === undefined) return;
    const key = `${statPrefix}.${name}`;
    this.#stats[key] = (this.#stats[key] ?? 0) + by;
  }
}
