// What is reported of requests to collectors: spans and entries of access logs. They are gathered and sent together, through a cluster; a collector that
// does not keep up costs reports, not memory, and never a request.

import { type EpisodeLog, Episodes, type EpisodeWords } from "./episodes.ts";
import type { Tables } from "./exchange/tables.ts";
import { ask, type Question, type WholeAnswer } from "./upstream/ask.ts";
import { grpcStatusOf } from "./upstream/ask-grpc.ts";

export interface Sink<Item> {
  /** Those of the same name gather together, also over changes of the configuration. */
  readonly key: string;
  /** What the items are, in words. */
  readonly what: string;
  readonly counters: Counters;
  readonly cluster: string;
  readonly mostItems: number;
  readonly mostWaitMs: number;
  /** About how many bytes it is in a report. */
  sizeOf(item: Item): number;
  question(items: readonly Item[]): Question;
  isTaken(answer: WholeAnswer): boolean;
  /** A collector may want something. */
  onTaken?(answer: WholeAnswer): void;
}

/** The names under which it is counted what becomes of them, as in Envoy; what has none is not counted. */
export interface Counters {
  /** What reports_sent, reports_dropped, reports_failed and reports_skipped_no_cluster begin with. */
  readonly reports?: string;
  readonly itemsSent?: string;
  /** The collector has them. */
  readonly itemsTaken?: string;
  /** Nobody has them. */
  readonly itemsLost?: string;
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
  readonly #losses: Episodes;
  readonly #gatherings = new Map<string, Gathering>();
  readonly #stats: Record<string, number> = {};
  readonly #asking = new Set<Promise<void>>();

  constructor(cluster: Tables["cluster"], log: EpisodeLog = () => undefined, quietMs?: number) {
    this.#cluster = cluster;
    this.#losses = new Episodes(log, quietMs);
  }

  add<Item>(sink: Sink<Item>, item: Item): void {
    const size = sink.sizeOf(item);
    const before = this.#gatheringOf(sink);
    if (before.open >= mostOpen || before.openBytes + size > mostOpenBytes) {
      this.#count(reportsOf(sink, "dropped"));
      this.#lose(sink, 1, "more come than it takes");
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
      this.#count(reportsOf(sink, "skipped_no_cluster"));
      this.#lose(sink, items.length, "there is no such cluster");
      return;
    }
    this.#count(sink.counters.itemsSent, items.length);
    const asked = new Promise<void>((resolve) => {
      ask(cluster, sink.question(items), (answer) => {
        this.#settle(gathering, items.length, bytes);
        this.#onAnswer(sink, items.length, answer);
        resolve();
      });
    }).then(() => void this.#asking.delete(asked));
    this.#asking.add(asked);
  }

  #onAnswer(sink: Sink<never>, items: number, answer: WholeAnswer | undefined): void {
    if (answer === undefined) {
      this.#count(reportsOf(sink, "failed"));
      this.#lose(sink, items, "it does not answer");
    } else if (!sink.isTaken(answer)) {
      this.#count(reportsOf(sink, "dropped"));
      this.#lose(sink, items, `it refuses them (${shownAnswer(answer)})`);
    } else {
      this.#count(reportsOf(sink, "sent"));
      this.#count(sink.counters.itemsTaken, items);
      this.#losses.rests(sink.key, lossWords(sink, ""));
      sink.onTaken?.(answer);
    }
  }

  #settle(gathering: Gathering, items: number, bytes: number): void {
    gathering.open -= items;
    gathering.openBytes -= bytes;
    // A configuration that changes leaves none behind.
    if (gathering.open === 0 && this.#gatherings.get(gathering.sink.key) === gathering) this.#gatherings.delete(gathering.sink.key);
  }

  #lose(sink: Sink<never>, items: number, why: string): void {
    this.#count(sink.counters.itemsLost, items);
    this.#losses.happens(sink.key, lossWords(sink, why), items);
  }

  #count(name: string | undefined, by = 1): void {
    if (name !== undefined) this.#stats[name] = (this.#stats[name] ?? 0) + by;
  }
}

function reportsOf({ counters }: Sink<never>, what: string): string | undefined {
  return counters.reports === undefined ? undefined : `${counters.reports}reports_${what}`;
}

function lossWords({ what, cluster }: Sink<never>, why: string): EpisodeWords {
  return {
    begun: () => `${what} for cluster ${cluster} are lost: ${why}`,
    over: (lost) => `${what} for cluster ${cluster} are taken again; ${lost} were lost`,
  };
}

function shownAnswer(answer: WholeAnswer): string {
  const [status, grpc] = [answer.head.status, grpcStatusOf(answer)];
  return grpc === undefined || status !== 200 ? `status ${status}` : `gRPC status ${grpc}`;
}
