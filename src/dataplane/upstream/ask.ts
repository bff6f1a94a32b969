// A request of our own to a cluster: to whoever decides about a client's request, or knows something of it. It uses the hosts, connections and
// limits of the cluster as requests of clients do, and answers once.

import { noContext } from "../balancing/candidate.ts";
import type { Headers } from "../http1/headers.ts";
import type { ResponseHead } from "../http1/response-head.ts";
import type { ClusterRuntime } from "./cluster.ts";
import { GatheredBody } from "./gathered-body.ts";
import type { Host } from "./host.ts";
import type { Waiter } from "./pool.ts";
import type { OutgoingRequest, ResponseHandler, UpstreamStream } from "./stream.ts";

export interface Question {
  readonly method: string;
  readonly path: string;
  readonly authority: string;
  readonly headers: Headers;
  readonly body: Buffer;
  readonly timeoutMs: number;
  /** `always`: also where there is no body. */
  readonly tellsLength?: "always" | "never";
}

export interface WholeAnswer {
  readonly head: ResponseHead;
  readonly body: Buffer;
  readonly trailers: Headers | undefined;
  readonly tookMs: number;
}

/** An answer that is larger is none. */
const mostAnswerBytes = 4 * 1_048_576;

/** @param onAnswer called once, later or at once; undefined: there was no answer, or not in time */
export function ask(
  cluster: ClusterRuntime | undefined,
  question: Question,
  onAnswer: (answer: WholeAnswer | undefined) => void,
): { cancel(): void } {
  const asking = new Asking(cluster, question, onAnswer);
  asking.start();
  return asking;
}

class Asking implements Waiter, ResponseHandler {
  readonly #cluster: ClusterRuntime | undefined;
  readonly #question: Question;
  readonly #onAnswer: (answer: WholeAnswer | undefined) => void;
  #host: Host | undefined;
  #stream: UpstreamStream | undefined;
  #timer: NodeJS.Timeout | undefined;
  #head: ResponseHead | undefined;
  #sentAt = 0;
  readonly #body = new GatheredBody(mostAnswerBytes);
  /** A kept connection may be closed by the other side in the moment that we use it. */
  #resendsLeft = 1;
  #isDone = false;

  constructor(cluster: ClusterRuntime | undefined, question: Question, onAnswer: (answer: WholeAnswer | undefined) => void) {
    this.#cluster = cluster;
    this.#question = question;
    this.#onAnswer = onAnswer;
  }

  start(): void {
    const { timeoutMs } = this.#question;
    if (timeoutMs !== Number.POSITIVE_INFINITY && this.#timer === undefined)
      this.#timer = setTimeout(() => this.#onTimeout(), timeoutMs).unref();
    const cluster = this.#cluster;
    if (cluster === undefined || cluster.config.unusable !== undefined) {
      this.#finish(undefined);
      return;
    }
    const host = cluster.pick(noContext);
    if (host === undefined) {
      cluster.stats.upstream_cx_none_healthy++;
      this.#finish(undefined);
      return;
    }
    if (cluster.requests >= cluster.config.limits.normal.requests) {
      cluster.stats.upstream_rq_pending_overflow++;
      this.#finish(undefined);
      return;
    }
    this.#host = host;
    cluster.requests++;
    host.activeRequests++;
    const { protocol } = cluster.config;
    const stream = host.acquire(this, false, protocol === "downstream" ? "http1" : protocol);
    if (stream !== undefined) this.onConnection(stream);
  }

  onConnection(stream: UpstreamStream): void {
    const { method, path, authority, headers, body, tellsLength } = this.#question;
    const cluster = this.#cluster as ClusterRuntime;
    cluster.stats.upstream_rq_total++;
    this.#stream = stream;
    this.#sentAt = performance.now();
    const request: OutgoingRequest = {
      method,
      path,
      authority,
      scheme: cluster.config.transport.tls === undefined ? "http" : "https",
      headers: [...headers],
      contentLength: tellsLength === "always" || (body.length > 0 && tellsLength !== "never") ? body.length : -1,
      isChunked: tellsLength === "never",
      upgrade: undefined,
    };
    stream.begin(this, request);
    if (body.length > 0) stream.sendData(body);
    stream.endRequest(undefined);
    stream.flush();
  }

  onNoConnection(): void {
    this.#fail();
  }

  onResponseHead(head: ResponseHead): void {
    this.#head = head;
    this.#cluster?.responses.count(head.status);
    this.#cluster?.report(this.#host as Host, { kind: "status", status: head.status });
  }

  onResponseData(data: Buffer): void {
    if (!this.#body.add(data)) this.#finish(undefined);
  }

  onResponseEnd(trailers: Headers | undefined): void {
    this.#stream = undefined;
    this.#cluster?.responses.time.observe(performance.now() - this.#sentAt);
    this.#finish(
      this.#head && {
        head: this.#head,
        body: this.#body.whole(),
        trailers,
        tookMs: performance.now() - this.#sentAt,
      },
    );
  }

  onResponseFlush(): void {}
  onUpstreamDrain(): void {}

  onUpstreamFailure(): void {
    const wasStale = this.#head === undefined && this.#stream?.mayHaveBeenStale === true;
    this.#stream = undefined;
    if (!wasStale || this.#resendsLeft === 0 || this.#isDone) {
      this.#fail();
      return;
    }
    this.#resendsLeft--;
    this.#release();
    this.start();
  }

  #onTimeout(): void {
    const cluster = this.#cluster;
    if (cluster !== undefined) cluster.stats.upstream_rq_timeout++;
    if (this.#host !== undefined) cluster?.report(this.#host, { kind: "local" });
    this.#finish(undefined);
  }

  #fail(): void {
    if (this.#cluster !== undefined) this.#cluster.stats.upstream_rq_rx_reset++;
    if (this.#host !== undefined) this.#cluster?.report(this.#host, { kind: "local" });
    this.#finish(undefined);
  }

  /** Nobody waits for the answer any more. */
  cancel(): void {
    if (this.#isDone) return;
    this.#isDone = true;
    this.#close();
  }

  #finish(answer: WholeAnswer | undefined): void {
    if (this.#isDone) return;
    this.#isDone = true;
    this.#close();
    this.#onAnswer(answer);
  }

  #close(): void {
    clearTimeout(this.#timer);
    const stream = this.#stream;
    this.#stream = undefined;
    stream?.abandon();
    this.#host?.cancel(this);
    this.#release();
  }

  #release(): void {
    if (this.#host === undefined) return;
    (this.#cluster as ClusterRuntime).requests--;
    this.#host.activeRequests--;
    this.#host = undefined;
  }
}
