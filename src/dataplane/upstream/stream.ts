// The upstream's side of an exchange: a connection of HTTP/1.1 that it has to itself for a while, or a stream of HTTP/2.

import type { Headers } from "../http1/headers.ts";
import type { ResponseHead } from "../http1/response-head.ts";

/**
 * Why there is no response, or no more of it. `refused`: the upstream says that it did nothing with the request (REFUSED_STREAM, or GOAWAY before
 * it got there). `remoteReset`: it gave up on the request. `closed`, `reset`: the connection is gone.
 */
export type UpstreamFailure = "connect" | "connectTimeout" | "closed" | "reset" | "malformed" | "overflow" | "refused" | "remoteReset";

/** The exchange that uses it. */
export interface ResponseHandler {
  onResponseHead(head: ResponseHead): void;
  onResponseData(data: Buffer): void;
  /** Trailers: HTTP/2 only. */
  onResponseEnd(trailers: Headers | undefined): void;
  /** All that one read brought was handed over: time to write. */
  onResponseFlush(): void;
  onUpstreamDrain(): void;
  onUpstreamFailure(failure: UpstreamFailure, detail: string): void;
}

/** A request as it is written. */
export interface OutgoingRequest {
  readonly method: string;
  readonly path: string;
  readonly authority: string;
  readonly scheme: string;
  readonly headers: Headers;
  /** -1: not known. */
  readonly contentLength: number;
  /** A body of unknown length follows. */
  readonly isChunked: boolean;
  readonly upgrade: string | undefined;
}

export interface UpstreamStream {
  /** Our end of the connection, and what is spoken on it; for logs. */
  readonly local?: { readonly address: string; readonly port: number };
  readonly protocol?: string;
  /** A kept connection may be closed in the moment that it is used: when it fails without a byte of a response, that says nothing of the request. */
  readonly mayHaveBeenStale: boolean;
  /** Sends the head of a request. */
  begin(handler: ResponseHandler, request: OutgoingRequest): void;
  sendData(data: Buffer): void;
  endRequest(trailers: Headers | undefined): void;
  /** Sends what is gathered; false when the exchange should wait for `onUpstreamDrain`. */
  flush(): boolean;
  pauseResponse(): void;
  resumeResponse(): void;
  /** The exchange wants no more of it. */
  abandon(): void;
}
