// One request and its response: routed, sent to an upstream (again, if a policy says so), answered. This file is its state, what others may see of
// it, and its end; each thing that can happen to it is a file of this folder, a function of the exchange.

import type { JsonValue } from "@bufbuild/protobuf";
import type { PickContext } from "../balancing/candidate.ts";
import type { Forward, WeightedChoice } from "../compile/forward.ts";
import type { CompiledHcm } from "../compile/hcm.ts";
import type { PseudoHeaders } from "../compile/header-mutations.ts";
import type { CompiledRetry } from "../compile/retry-policy.ts";
import type { CompiledRoute } from "../compile/route.ts";
import type { CompiledRouteConfig, CompiledVirtualHost } from "../compile/route-config.ts";
import type { ClientStream } from "../downstream/client.ts";
import type { BodySink, FilterRun } from "../filters/http-filter.ts";
import type { AddressView, FormatContext, MetadataView, TimesView, TlsView } from "../formatter.ts";
import { type Headers, headerValue } from "../http1/headers.ts";
import type { Protocol, RequestHead } from "../http1/request-head.ts";
import type { ResponseHead } from "../http1/response-head.ts";
import type { RequestView } from "../match.ts";
import type { ClusterRuntime } from "../upstream/cluster.ts";

import type { Host } from "../upstream/host.ts";
import type { Waiter } from "../upstream/pool.ts";
import type { OutgoingRequest, ResponseHandler, UpstreamFailure, UpstreamStream } from "../upstream/stream.ts";
import { onConnection } from "./attempt.ts";
import { type Call, onCallData, onCallEnd, onCallHead } from "./call.ts";
import { onDownstreamClose, onNoConnection, onRequestMalformed, onUpstreamFailure } from "./failure.ts";
import { endFilters } from "./filter-chain.ts";
import { receive } from "./receive.ts";
import { Arrival, type BodyDecoder, flushRequest, onBodyData, onBodyEnd } from "./request-body.ts";
import { onResponseData, onResponseEnd, onResponseFlush, onResponseHead } from "./response.ts";
import type { Tables } from "./tables.ts";
import { onIdleTimeout, onRouteTimeout, onTryTimeout } from "./timeouts.ts";
import type { LimitKind } from "./timers.ts";
import { endTrace, endTry, type Trace } from "./trace.ts";

/** What was found of where a request goes. */
export interface RouteLevels {
  readonly virtualHost: CompiledVirtualHost | undefined;
  readonly route: CompiledRoute | undefined;
  readonly choice: WeightedChoice | undefined;
}

const noCookies: readonly string[] = [];

export class Exchange implements RequestView, FormatContext, ResponseHandler, Waiter, PseudoHeaders, OutgoingRequest {
  // — the request, as matchers see it —
  method: string;
  path: string;
  authority: string;
  scheme = "http";
  readonly headers: Headers;
  #random = -1;

  // — what formatters and logs see —
  readonly startedAt = Date.now();
  readonly #began = performance.now();
  remoteAddress: string;
  virtualHostName = "";
  clusterName = "";
  responseStatus = 0;
  responseHeaders: Headers | undefined;
  responseFlags = "";
  responseDetails = "";
  responseTrailers: Headers | undefined;
  upstreamFailure = "";
  isHealthCheck = false;
  /** What filters have found out, by their names. */
  dynamicMetadata: Record<string, Record<string, JsonValue>> | undefined;
  bytesReceived = 0;
  bytesSent = 0;
  attempts = 0;

  // — for the files of this folder: where it came from —
  readonly client: ClientStream;
  readonly hcm: CompiledHcm;
  readonly tables: Tables;
  readonly protocol: Protocol;
  /** What the client asked, whatever filters made of the method: the response has no body. */
  readonly isHead: boolean;
  contentLength: number;
  isChunked: boolean;
  readonly upgrade: string | undefined;
  /** What a client says before this is nobody's word: its headers were not looked at. */
  isReceived = false;

  // — where it goes —
  config: CompiledRouteConfig | undefined;
  virtualHost: CompiledVirtualHost | undefined;
  route: CompiledRoute | undefined;
  forward: Forward | undefined;
  choice: WeightedChoice | undefined;
  /** Where it went before a filter had it routed again. */
  firstRoute: RouteLevels | undefined;
  retry: CompiledRetry | undefined;
  /** The virtual host speaks to nobody without TLS. */
  needsTls = false;
  /** HTTP filters at work on it, in their order; undefined when there are none. */
  filters: FilterRun[] | undefined;
  /** The route has not acted yet: an answer is a filter's, and not the route's to change. */
  isInFilters = false;
  pathBefore = "";
  /** For the response; for the whole of it. */
  timeoutMs = Number.POSITIVE_INFINITY;
  streamMs = Number.POSITIVE_INFINITY;
  limitKind: LimitKind = "response";

  /** Undefined: it is not traced. */
  trace: Trace | undefined;

  // — the try under way —
  cluster: ClusterRuntime | undefined;
  pickedHost: Host | undefined;
  tried: Set<Host> | undefined;
  picksBy: PickContext | undefined;
  /** That the client gets, so that it finds the same host again. */
  cookies: readonly string[] = noCookies;
  upstream: UpstreamStream | undefined;
  /** The last of them, also when it is over. */
  carrier: UpstreamStream | undefined;
  /** Among the active requests of its cluster and host. */
  isCounted = false;
  sentAt = 0;
  /** `performance.now()`, 0 where it did not happen: the request was here whole, and was sent whole; the response began. */
  requestEndedAt = 0;
  sentWholeAt = 0;
  respondedAt = 0;
  retryTimer: NodeJS.Timeout | undefined;
  isRetry = false;
  resendsLeft = 1;

  // — the request's body: parts that are not sent yet, or kept to be sent again —
  bodyParts: Buffer[] = [];
  bodySize = 0;
  keepsBody = false;
  /** For the upstream it is whole; for the client it may be so before. */
  requestEnded: boolean;
  clientEnded: boolean;
  requestTrailers: Headers | undefined;

  /** How much of a body is kept, where it is held for a reason of its own. */
  holdLimit: number | undefined;
  /** Waits for the whole body before it goes on. */
  whenWhole: (() => void) | undefined;
  /** The body is not what the upstream gets, but in some code. */
  bodyDecoder: BodyDecoder | undefined;
  /** What it passes on its way, in this order. */
  bodySteps: BodySink[] | undefined;
  /** Waits for that much of it, or for its end. */
  whenEnough: { readonly bytes: number; readonly again: () => void } | undefined;
  /** What is sent in the place of the request: the call of a function. */
  call: Call | undefined;

  // — the response —
  headSent = false;
  /** Where its body goes, where filters look at it. */
  responseBody: BodySink | undefined;
  closesAfter = false;
  /** Although the request is one of gRPC by now: a filter looks after it. */
  answersAsHttp = false;
  isTunnel = false;
  isDone = false;

  constructor(head: RequestHead, client: ClientStream, hcm: CompiledHcm, tables: Tables) {
    this.method = head.method;
    this.isHead = head.method === "HEAD";
    this.path = head.path;
    this.authority = head.authority === "" ? hcm.defaultHost : head.authority;
    this.headers = head.headers;
    this.remoteAddress = client.remoteAddress;
    this.client = client;
    this.hcm = hcm;
    this.tables = tables;
    this.protocol = head.protocol;
    this.contentLength = head.contentLength;
    this.isChunked = head.isChunked;
    this.upgrade = head.upgrade;
    this.requestEnded = !head.isChunked && head.contentLength <= 0;
    this.clientEnded = this.requestEnded;
  }

  // — what matchers, formatters and logs see —

  get request(): RequestView {
    return this;
  }
  get random(): number {
    if (this.#random < 0) this.#random = Math.random();
    return this.#random;
  }
  get durationMs(): number {
    return performance.now() - this.#began;
  }
  get remotePort(): number {
    return this.remoteAddress === this.client.remoteAddress ? this.client.remotePort : 0;
  }
  get directRemoteAddress(): string {
    return this.client.remoteAddress;
  }
  get directRemotePort(): number {
    return this.client.remotePort;
  }
  get localAddress(): string {
    return this.client.localAddress;
  }
  get localPort(): number {
    return this.client.localPort;
  }
  get routeName(): string {
    return this.route?.name ?? "";
  }
  get upstreamCluster(): string {
    return this.cluster === undefined ? this.#clusterOfRoute() : this.clusterName;
  }
  /** Where it would have gone, had no filter answered. */
  #clusterOfRoute(): string {
    const action = this.route?.action;
    if (action?.kind !== "forward") return "";
    const name = action.target.kind === "cluster" ? action.target.name : (this.choice?.name ?? "");
    return this.tables.cluster(name) === undefined ? "" : name;
  }
  get upstreamHost(): string {
    return this.pickedHost?.label ?? "";
  }
  get upstreamHostName(): string {
    return this.pickedHost?.spec.hostname ?? "";
  }
  get upstreamLocal(): AddressView | undefined {
    return this.carrier?.local;
  }
  get upstreamProtocol(): string {
    return this.carrier?.protocol ?? "";
  }
  get serverName(): string {
    return this.client.serverName;
  }
  get tls(): TlsView | undefined {
    return this.client.tls;
  }
  get routeMetadata(): MetadataView | undefined {
    return this.route?.metadata;
  }
  get times(): TimesView {
    const since = (at: number) => (at === 0 ? undefined : at - this.#began);
    const requestEnd = this.requestEndedAt === 0 && this.requestEnded ? 0 : since(this.requestEndedAt);
    return { requestEnd, upstreamRequestEnd: since(this.sentWholeAt), responseBegin: since(this.respondedAt) };
  }
  get traceIds(): { readonly traceId: string; readonly id: string } | undefined {
    return this.trace?.span;
  }
  get isTraced(): boolean {
    return this.trace?.isChosen ?? false;
  }
  get streamId(): string {
    return this.isReceived ? (headerValue(this.headers, "x-request-id") ?? "") : "";
  }
  /** Milliseconds from the beginning to the last try. */
  get sentSince(): number {
    return this.sentAt - this.#began;
  }
  get isWebSocket(): boolean {
    return this.upgrade?.toLowerCase() === "websocket";
  }
  get arrival(): BodySink {
    return new Arrival(this);
  }
  /** The path before the route rewrote it. */
  get originalPath(): string {
    return this.pathBefore || this.path;
  }

  setPseudo(name: string, value: string): void {
    if (name === ":path") this.path = value;
    else if (name === ":authority" || name === "host") this.authority = value;
    else if (name === ":scheme") this.scheme = value;
  }

  // — what happens to it: told by the client's connection —

  begin(): void {
    receive(this);
  }
  onBodyData(data: Buffer): void {
    onBodyData(this, data);
  }
  /** Trailers: HTTP/2 only. */
  onBodyEnd(trailers: Headers | undefined): void {
    onBodyEnd(this, trailers);
  }
  /** All that one read brought was handed over. */
  onBodyFlush(): void {
    flushRequest(this);
  }
  onDownstreamDrain(): void {
    this.upstream?.resumeResponse();
  }
  onRequestMalformed(): void {
    onRequestMalformed(this);
  }
  onDownstreamClose(): void {
    onDownstreamClose(this);
  }
  onRouteTimeout(): void {
    onRouteTimeout(this);
  }
  onTryTimeout(): void {
    onTryTimeout(this);
  }
  onIdleTimeout(): void {
    onIdleTimeout(this);
  }

  // — told by the upstream —

  onConnection(upstream: UpstreamStream): void {
    onConnection(this, upstream);
  }
  onNoConnection(failure: UpstreamFailure, detail: string): void {
    onNoConnection(this, failure, detail);
  }
  onResponseHead(head: ResponseHead): void {
    if (this.call === undefined) onResponseHead(this, head);
    else onCallHead(this, this.call, head);
  }
  onResponseData(data: Buffer): void {
    if (this.call === undefined) onResponseData(this, data);
    else onCallData(this, this.call, data);
  }
  onResponseFlush(): void {
    onResponseFlush(this);
  }
  onResponseEnd(trailers: Headers | undefined): void {
    if (this.call === undefined) onResponseEnd(this, trailers);
    else onCallEnd(this, this.call);
  }
  onUpstreamDrain(): void {
    this.client.resumeBody();
  }
  onUpstreamFailure(failure: UpstreamFailure, detail: string): void {
    onUpstreamFailure(this, failure, detail);
  }

  // — its end, and the end of a try —

  /** Wants no more of the upstream. */
  dropUpstream(): void {
    if (this.trace !== undefined) endTry(this);
    const { upstream } = this;
    this.upstream = undefined;
    upstream?.abandon();
    this.pickedHost?.cancel(this);
    this.release();
  }

  release(): void {
    if (!this.isCounted) return;
    this.isCounted = false;
    (this.cluster as ClusterRuntime).requests--;
    (this.pickedHost as Host).activeRequests--;
  }

  /** Everything that must end with it ends here. */
  end(): void {
    if (this.isDone) return;
    this.isDone = true;
    clearTimeout(this.retryTimer);
    if (this.retryTimer !== undefined) (this.cluster as ClusterRuntime).retries--;
    this.release();
    this.bodyParts = [];
    if (this.filters !== undefined) endFilters(this);
    if (this.trace !== undefined) {
      endTry(this);
      endTrace(this);
    }
    for (const log of this.hcm.accessLogs) {
      if (log.accepts?.(this) === false) continue;
      if (log.kind === "text") this.client.log(log, this);
      else this.tables.telemetry?.add(log.sink, log.entry(this));
    }
    this.client.onExchangeEnd(this, this.closesAfter);
  }
}
