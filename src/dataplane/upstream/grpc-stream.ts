// A call of gRPC with streams both ways, to a cluster. It uses the hosts, connections and limits of the cluster as requests of clients do.

import { noContext } from "../balancing/candidate.ts";
import { grpcStatusOfHttp } from "../exchange/grpc.ts";
import { framed } from "../grpc-frame.ts";
import { type Headers, headerValue } from "../http1/headers.ts";
import type { ResponseHead } from "../http1/response-head.ts";
import { MessageReader } from "../sds/message-reader.ts";
import type { GrpcTarget } from "./ask-grpc.ts";
import type { ClusterRuntime } from "./cluster.ts";
import type { Host } from "./host.ts";
import type { Waiter } from "./pool.ts";
import type { OutgoingRequest, ResponseHandler, UpstreamStream } from "./stream.ts";

export const grpcStatus = { ok: 0, unknown: 2, internal: 13, unavailable: 14 } as const;

export interface GrpcStreamListener {
  onMessage(message: Uint8Array): void;
  /**
   * Nothing comes any more; told once, and not to who has closed it.
   * @param why in Envoy's words: who it is that says so
   */
  onEnd(status: number, why: string): void;
  /** There is room again for what is sent. */
  onDrain(): void;
}

/** Of what is sent, this much is kept for another connection, or until there is one. */
const mostUnheard = 65_536;

/** How long the other side may take to end a call that we have ended. */
const lingerMs = 1_000;

export class GrpcStream implements Waiter, ResponseHandler {
  readonly #cluster: ClusterRuntime | undefined;
  readonly #target: GrpcTarget;
  readonly #path: string;
  readonly #listener: GrpcStreamListener;
  readonly #reader: MessageReader;
  #host: Host | undefined;
  #stream: UpstreamStream | undefined;
  #head: ResponseHead | undefined;
  /** Until the other side has begun to answer: for another connection, if this one was stale. */
  #unheard: Buffer[] = [];
  #unheardBytes = 0;
  #resendsLeft = 1;
  /** Whoever sends was told to wait. */
  #isFull = false;
  #startedAt = 0;
  #linger: NodeJS.Timeout | undefined;
  /** Ours: nothing more is sent, and nobody listens. */
  #isClosed = false;
  #isDone = false;

  /**
   * @param path `/package.Service/Method`
   * @param mostBytes of a message that comes
   */
  constructor(cluster: ClusterRuntime | undefined, target: GrpcTarget, path: string, listener: GrpcStreamListener, mostBytes?: number) {
    this.#cluster = cluster;
    this.#target = target;
    this.#path = path;
    this.#listener = listener;
    this.#reader = new MessageReader((message) => {
      if (!this.#isClosed && !this.#isDone) this.#listener.onMessage(message);
    }, mostBytes);
  }

  /** Where nobody can be asked, the end comes before this returns. */
  start(): void {
    const cluster = this.#cluster;
    const host = cluster === undefined || cluster.config.unusable !== undefined ? undefined : cluster.pick(noContext);
    if (cluster === undefined || host === undefined) {
      if (cluster !== undefined) cluster.stats.upstream_cx_none_healthy++;
      this.#finish(grpcStatus.unavailable, "no_healthy_upstream{no_healthy_upstream}");
      return;
    }
    if (cluster.requests >= cluster.config.limits.normal.requests) {
      cluster.stats.upstream_rq_pending_overflow++;
      this.#finish(grpcStatus.unavailable, "overflow");
      return;
    }
    this.#host = host;
    cluster.requests++;
    host.activeRequests++;
    const { protocol } = cluster.config;
    const stream = host.acquire(this, false, protocol === "downstream" ? "http2" : protocol);
    if (stream !== undefined) this.onConnection(stream);
  }

  /** False: more should wait until there is room. */
  send(message: Uint8Array): boolean {
    if (this.#isClosed || this.#isDone) return true;
    const frame = framed(message);
    const stream = this.#stream;
    if (stream === undefined || (this.#head === undefined && this.#resendsLeft > 0)) this.#keep(frame);
    stream?.sendData(frame);
    this.#isFull = stream === undefined ? this.#unheardBytes > mostUnheard : !stream.flush();
    return !this.#isFull;
  }

  #keep(frame: Buffer): void {
    this.#unheard.push(frame);
    this.#unheardBytes += frame.length;
    if (this.#stream !== undefined && this.#unheardBytes > mostUnheard) this.#forget();
  }

  /** It is not said again. */
  #forget(): void {
    this.#resendsLeft = 0;
    this.#unheard = [];
    this.#unheardBytes = 0;
  }

  /** No more of it: the other side is told that we are through, and may end in peace. */
  close(): void {
    if (this.#isClosed || this.#isDone) return;
    this.#isClosed = true;
    if (this.#stream === undefined) {
      this.#isDone = true;
      this.#release();
      return;
    }
    this.#stream.endRequest(undefined);
    this.#stream.flush();
    this.#linger = setTimeout(() => this.#leave(), lingerMs).unref();
  }

  onConnection(stream: UpstreamStream): void {
    const cluster = this.#cluster as ClusterRuntime;
    const { cluster: name, authority, metadata } = this.#target;
    cluster.stats.upstream_rq_total++;
    this.#stream = stream;
    this.#startedAt = performance.now();
    const request: OutgoingRequest = {
      method: "POST",
      path: this.#path,
      authority: authority || name,
      scheme: cluster.config.transport.tls === undefined ? "http" : "https",
      headers: ["te", "trailers", "content-type", "application/grpc", ...metadata, "x-envoy-internal", "true"],
      contentLength: -1,
      isChunked: true,
      upgrade: undefined,
    };
    stream.begin(this, request);
    for (const frame of this.#unheard) stream.sendData(frame);
    if (this.#unheardBytes > mostUnheard) this.#forget();
    if (stream.flush()) this.onUpstreamDrain();
  }

  onNoConnection(): void {
    this.#fail(grpcStatus.unavailable);
  }

  onResponseHead(head: ResponseHead): void {
    this.#head = head;
    this.#forget();
    this.#cluster?.responses.count(head.status);
    this.#cluster?.report(this.#host as Host, { kind: "status", status: head.status });
  }

  onResponseData(data: Buffer): void {
    if (this.#isClosed || this.#head?.status !== 200) return;
    try {
      this.#reader.push(data);
    } catch {
      this.#stop(grpcStatus.internal); // what it sent is no message
    }
  }

  onResponseEnd(trailers: Headers | undefined): void {
    this.#stream = undefined;
    this.#cluster?.responses.time.observe(performance.now() - this.#startedAt);
    this.#finish(statusOf(this.#head, trailers), "via_upstream");
  }

  onResponseFlush(): void {}
  onUpstreamDrain(): void {
    if (!this.#isFull || this.#isClosed || this.#isDone) return;
    this.#isFull = false;
    this.#listener.onDrain();
  }

  onUpstreamFailure(): void {
    const wasStale = this.#head === undefined && this.#stream?.mayHaveBeenStale === true;
    this.#stream = undefined;
    if (!wasStale || this.#resendsLeft === 0 || this.#isClosed || this.#isDone) {
      this.#fail(this.#head === undefined ? grpcStatus.unavailable : grpcStatus.internal);
      return;
    }
    this.#resendsLeft--;
    this.#release();
    this.start();
  }

  #fail(status: number): void {
    if (this.#cluster !== undefined && !this.#isClosed) this.#cluster.stats.upstream_rq_rx_reset++;
    if (this.#host !== undefined && !this.#isClosed) this.#cluster?.report(this.#host, { kind: "local" });
    this.#finish(status);
  }

  #stop(status: number): void {
    const stream = this.#stream;
    this.#stream = undefined;
    stream?.abandon();
    this.#finish(status);
  }

  #leave(): void {
    const stream = this.#stream;
    this.#stream = undefined;
    stream?.abandon();
    this.#finish(grpcStatus.ok);
  }

  #finish(status: number, why = ""): void {
    if (this.#isDone) return;
    this.#isDone = true;
    clearTimeout(this.#linger);
    this.#release();
    if (!this.#isClosed) this.#listener.onEnd(status, why);
  }

  #release(): void {
    const host = this.#host;
    if (host === undefined) return;
    this.#host = undefined;
    host.cancel(this);
    (this.#cluster as ClusterRuntime).requests--;
    host.activeRequests--;
  }
}

/** As Envoy reads an answer that has no status of gRPC. */
function statusOf(head: ResponseHead | undefined, trailers: Headers | undefined): number {
  const said = headerValue(trailers ?? [], "grpc-status") ?? headerValue(head?.headers ?? [], "grpc-status");
  if (said !== undefined && /^\d{1,3}$/.test(said)) return Number(said);
  if (head === undefined || head.status === 200) return grpcStatus.unknown;
  return grpcStatusOfHttp(head.status);
}
