// One request and its response: routed, sent to an upstream (again, if a policy says so), answered. Everything that must end with it ends here.

import { createHash } from "node:crypto";
import { STATUS_CODES } from "node:http";
import type { CompiledHcm } from "./compile/hcm.ts";
import { mutateHeaders, type PseudoHeaders } from "./compile/header-mutations.ts";
import type { Action, CompiledRetry, CompiledRoute, Forward, WeightedChoice } from "./compile/route.ts";
import type { CompiledRouteConfig, CompiledVirtualHost } from "./compile/route-config.ts";
import type { DownstreamConnection } from "./downstream.ts";
import { receiveHeaders, sendHeaders } from "./edge.ts";
import { type FormatContext, firstValue } from "./formatter.ts";
import { type Headers, headerValue, setHeader } from "./http1/headers.ts";
import type { RequestHead } from "./http1/request-head.ts";
import type { ResponseHead } from "./http1/response-head.ts";
import { matchRoute, pathOnly, type RequestView } from "./match.ts";
import { preparePath } from "./path.ts";
import { shouldRetryFailure, shouldRetryResponse } from "./retry.ts";
import type { ClusterRuntime } from "./upstream/cluster.ts";
import type { ResponseHandler, UpstreamConnection, UpstreamFailure } from "./upstream/connection.ts";
import type { Host, Waiter } from "./upstream/host.ts";

/** What exchanges need of the data plane: always the newest. */
export interface Tables {
  routeConfig(name: string): CompiledRouteConfig | undefined;
  cluster(name: string): ClusterRuntime | undefined;
}

/** A body that is to be sent again must be kept; beyond this it is sent once. */
const defaultBufferLimit = 1_048_576;

const withoutContent = new Set(["GET", "HEAD", "DELETE"]);

const idempotent = new Set(["GET", "HEAD", "OPTIONS", "PUT", "DELETE"]);

export class Exchange implements RequestView, FormatContext, ResponseHandler, Waiter, PseudoHeaders {
  // RequestView
  readonly method: string;
  path: string;
  authority: string;
  scheme = "http";
  readonly headers: Headers;
  #random = -1;
  // FormatContext
  readonly startedAt = Date.now();
  readonly #began = performance.now();
  remoteAddress: string;
  virtualHostName = "";
  clusterName = "";
  responseStatus = 0;
  responseHeaders: Headers | undefined;
  responseFlags = "";
  responseDetails = "";
  bytesReceived = 0;
  bytesSent = 0;
  attempts = 0;

  readonly #connection: DownstreamConnection;
  readonly #hcm: CompiledHcm;
  readonly #tables: Tables;
  readonly #minor: number;
  readonly #contentLength: number;
  readonly #isChunked: boolean;
  readonly #upgrade: string | undefined;
  #route: CompiledRoute | undefined;
  #config: CompiledRouteConfig | undefined;
  #host: CompiledVirtualHost | undefined;
  #forward: Forward | undefined;
  #choice: WeightedChoice | undefined;
  #retry: CompiledRetry | undefined;
  #originalPath = "";

  #cluster: ClusterRuntime | undefined;
  #upstreamHost: Host | undefined;
  #tried: Set<Host> | undefined;
  #upstream: UpstreamConnection | undefined;
  #isCounted = false;
  #sentAt = 0;
  /** Body parts that are not sent yet, or kept to be sent again. */
  #body: Buffer[] = [];
  #bodySize = 0;
  #keepsBody = false;
  #requestEnded: boolean;
  #retryTimer: NodeJS.Timeout | undefined;
  #isRetry = false;
  #headSent = false;
  #responseChunked = false;
  #closesAfter = false;
  #isTunnel = false;
  #isDone = false;
  #isReceived = false;
  #resendsLeft = 1;

  constructor(head: RequestHead, connection: DownstreamConnection, hcm: CompiledHcm, tables: Tables) {
    this.method = head.method;
    this.path = head.path;
    this.authority = head.authority === "" ? hcm.defaultHost : head.authority;
    this.headers = head.headers;
    this.remoteAddress = connection.remoteAddress;
    this.#connection = connection;
    this.#hcm = hcm;
    this.#tables = tables;
    this.#minor = head.minor;
    this.#contentLength = head.contentLength;
    this.#isChunked = head.isChunked;
    this.#upgrade = head.upgrade;
    this.#requestEnded = !head.isChunked && head.contentLength <= 0;
  }

  // — what matchers, formatters and logs see —

  get request(): RequestView {
    return this;
  }
  get random(): number {
    if (this.#random < 0) this.#random = Math.random();
    return this.#random;
  }
  get protocol(): string {
    return this.#minor === 1 ? "HTTP/1.1" : "HTTP/1.0";
  }
  get durationMs(): number {
    return performance.now() - this.#began;
  }
  get remotePort(): number {
    return this.remoteAddress === this.#connection.remoteAddress ? this.#connection.remotePort : 0;
  }
  get directRemoteAddress(): string {
    return this.#connection.remoteAddress;
  }
  get directRemotePort(): number {
    return this.#connection.remotePort;
  }
  get localAddress(): string {
    return this.#connection.localAddress;
  }
  get localPort(): number {
    return this.#connection.localPort;
  }
  get routeName(): string {
    return this.#route?.name ?? "";
  }
  get upstreamHost(): string {
    return this.#upstreamHost?.label ?? "";
  }
  get isTunnel(): boolean {
    return this.#isTunnel;
  }
  get isWebSocket(): boolean {
    return this.#upgrade?.toLowerCase() === "websocket";
  }

  setPseudo(name: string, value: string): void {
    if (name === ":path") this.path = value;
    else if (name === ":authority" || name === "host") this.authority = value;
    else if (name === ":scheme") this.scheme = value;
  }

  // — the request —

  begin(): void {
    const hcm = this.#hcm;
    if (this.authority === "") {
      this.reply(400, "", "DPE", "missing_host_header");
      return;
    }
    // `OPTIONS *` is about the proxy itself, which has nothing to say; no route is about it.
    if (this.path.charCodeAt(0) !== 0x2f) {
      this.reply(404, "", "", "path_not_absolute");
      return;
    }
    const routes = hcm.routes;
    const config = routes.kind === "inline" ? routes.config : this.#tables.routeConfig(routes.name);
    this.#config = config;
    const received = receiveHeaders(this.headers, hcm, this.#connection, config?.internalOnlyHeaders ?? []);
    this.#isReceived = true;
    this.remoteAddress = received.remoteAddress;
    this.scheme = received.scheme;
    this.#stripHost();
    if (hcm.normalizePath || hcm.mergeSlashes || hcm.escapedSlashes !== "keep") {
      const prepared = preparePath(this.path, hcm);
      if (prepared.kind === "refused") {
        this.reply(400, "", "DPE", "path_normalization_failed");
        return;
      }
      if (prepared.kind === "redirect") {
        this.#redirect(307, prepared.path);
        return;
      }
      this.path = prepared.path;
    }
    this.#takeRoute();
  }

  #stripHost(): void {
    const { stripPort, stripTrailingDot } = this.#hcm;
    if (stripPort === "any" || (stripPort === "matching" && this.authority.endsWith(`:${this.#connection.localPort}`))) {
      this.authority = this.authority.replace(/:\d*$/, "");
    }
    if (stripTrailingDot) this.authority = this.authority.replace(/\.(?=:\d*$|$)/, "");
  }

  #takeRoute(): void {
    const config = this.#config;
    if (config === undefined) {
      this.reply(404, "", "NR", "route_not_found");
      return;
    }
    const host = config.domains.find(this.authority) as CompiledVirtualHost | undefined;
    if (host === undefined) {
      this.reply(404, "", "NR", "route_not_found");
      return;
    }
    this.virtualHostName = host.name;
    let path = pathOnly(this.path);
    if (config.ignorePathParameters) path = path.replace(/;.*$/, "");
    const route = matchRoute(host, this, path) as CompiledRoute | undefined;
    if (host.requiresTls && this.scheme !== "https") {
      this.#redirect(301, `https://${this.authority}${this.path}`);
      return;
    }
    if (route === undefined) {
      this.reply(404, "", "NR", "route_not_found");
      return;
    }
    this.#host = host;
    this.#route = route;
    const { action } = route;
    switch (action.kind) {
      case "forward":
        this.#forwardTo(action);
        break;
      case "redirect":
        this.#redirectTo(action);
        break;
      case "direct":
        this.reply(action.status, action.body.toString("latin1"), "", "direct_response");
        break;
      default:
        this.reply(500, "", "", "route_not_executed");
    }
  }

  #forwardTo(forward: Forward): void {
    this.#forward = forward;
    const name = this.#chooseCluster(forward);
    this.clusterName = name;
    const cluster = this.#tables.cluster(name);
    if (cluster === undefined) {
      this.reply(forward.notFoundStatus, "", "NC", "cluster_not_found");
      return;
    }
    this.#cluster = cluster;
    if (this.#upgrade !== undefined && !this.#mayUpgrade(this.#upgrade, forward)) {
      // RFC 9931: what follows a refused upgrade may not be HTTP, so the connection ends here.
      this.#closesAfter = true;
      this.reply(403, "", "", "upgrade_failed");
      return;
    }
    this.#retry = forward.retry;
    this.#keepsBody = forward.retry !== undefined;
    this.#rewriteRequest(forward);
    if (this.#requestEnded || this.#upgrade !== undefined) this.#startRouteTimer();
    else this.#connection.idle.set(this.#streamIdleMs);
    this.#attempt();
  }

  get #streamIdleMs(): number {
    return this.#forward?.idleTimeoutMs ?? this.#hcm.streamIdleMs;
  }

  #chooseCluster({ target }: Forward): string {
    switch (target.kind) {
      case "cluster":
        return target.name;
      case "header":
        return headerValue(this.headers, target.header) ?? "";
      case "weighted": {
        let point = this.random * target.total;
        const choice = target.choices.find((each) => {
          point -= each.weight;
          return point < 0;
        });
        this.#choice = choice;
        return choice === undefined ? "" : choice.name || (headerValue(this.headers, choice.header) ?? "");
      }
    }
  }

  #mayUpgrade(upgrade: string, forward: Forward): boolean {
    const type = upgrade.toLowerCase();
    return forward.upgrades.get(type) ?? this.#hcm.upgrades.get(type) ?? false;
  }

  /** Envoy's order: the router's own headers, the mutations of the route, then its rewrites. */
  #rewriteRequest(forward: Forward): void {
    const { headers } = this;
    const host = this.#host as CompiledVirtualHost;
    this.#tellTimeout();
    if (this.#choice?.requestMutations !== undefined) mutateHeaders(headers, this.#choice.requestMutations, this, this);
    const levels = [this.#route?.requestMutations, host.requestMutations, this.#config?.requestMutations];
    if (this.#config?.mostSpecificWins) levels.reverse();
    for (const mutations of levels) if (mutations !== undefined) mutateHeaders(headers, mutations, this, this);

    if (forward.host !== undefined || this.#choice?.host !== undefined) {
      const rewritten = this.#choice?.host ?? this.#rewriteHost(forward);
      if (rewritten !== undefined && rewritten !== "") this.#setAuthority(rewritten);
    }
    this.#originalPath = this.path;
    if (forward.rewritePath !== undefined) {
      const path = pathOnly(this.path);
      const rewritten = forward.rewritePath(path) + this.path.slice(path.length);
      if (this.#hcm.envoyHeaders) setHeader(headers, "x-envoy-original-path", this.path);
      this.path = rewritten;
    }
  }

  /** Tells the upstream how long somebody waits for it. */
  #tellTimeout(): void {
    const forward = this.#forward as Forward;
    if (!this.#hcm.envoyHeaders || forward.timeoutMs === Number.POSITIVE_INFINITY) return;
    const left = this.attempts === 0 ? forward.timeoutMs : Math.max(0, forward.timeoutMs - this.durationMs);
    const perTry = forward.retry?.perTryMs ?? Number.POSITIVE_INFINITY;
    setHeader(this.headers, "x-envoy-expected-rq-timeout-ms", String(Math.ceil(Math.min(perTry, left))));
  }

  #rewriteHost(forward: Forward): string | undefined {
    const rewrite = forward.host;
    switch (rewrite?.kind) {
      case "literal":
        return rewrite.host;
      case "header":
        return firstValue(this, rewrite.header);
      case "path":
        return rewrite.rewrite(pathOnly(this.path));
      default:
        return undefined;
    }
  }

  #setAuthority(authority: string): void {
    if (this.#forward?.appendXForwardedHost) {
      const before = headerValue(this.headers, "x-forwarded-host");
      setHeader(this.headers, "x-forwarded-host", before === undefined ? this.authority : `${before},${this.authority}`);
    }
    if (this.#hcm.envoyHeaders && authority !== this.authority) setHeader(this.headers, "x-envoy-original-host", this.authority);
    this.authority = authority;
  }

  #startRouteTimer(): void {
    const forward = this.#forward;
    if (forward === undefined || this.#isTunnel) return;
    const isUpgrade = this.#upgrade !== undefined;
    const limit = Math.min(isUpgrade ? Number.POSITIVE_INFINITY : forward.timeoutMs, forward.maxStreamMs, this.#hcm.maxStreamMs);
    if (limit !== Number.POSITIVE_INFINITY) this.#connection.request.set(limit);
    const idle = this.#streamIdleMs;
    if (idle < limit) this.#connection.idle.set(idle);
    else this.#connection.idle.clear();
    this.#startTryTimer();
  }

  #startTryTimer(): void {
    const perTry = this.#retry?.perTryMs;
    if (perTry !== undefined && perTry !== Number.POSITIVE_INFINITY && this.#upgrade === undefined) this.#connection.try.set(perTry);
  }

  // — attempts —

  #attempt(): void {
    const cluster = this.#cluster as ClusterRuntime;
    this.attempts++;
    if (cluster.config.unusable !== undefined) {
      this.reply(503, "protocol not executed by the embedded data plane", "UPE", "cluster_not_executed");
      return;
    }
    const host = cluster.pick(this.#retry?.avoidPreviousHosts ? this.#tried : undefined, this.#retry?.hostAttempts);
    if (host === undefined) {
      cluster.stats.upstream_cx_none_healthy++;
      this.#fail(503, "no healthy upstream", "UH", "no_healthy_upstream");
      return;
    }
    this.#upstreamHost = host;
    const isHigh = this.#forward?.isHighPriority ?? false;
    const limits = isHigh ? cluster.config.limits.high : cluster.config.limits.normal;
    if (cluster.requests >= limits.requests) {
      cluster.stats.upstream_rq_pending_overflow++;
      this.#overflow();
      return;
    }
    this.#isCounted = true;
    cluster.requests++;
    host.activeRequests++;
    const connection = host.acquire(this, isHigh);
    if (connection !== undefined) this.onConnection(connection);
  }

  onConnection(upstream: UpstreamConnection): void {
    const host = this.#upstreamHost as Host;
    const cluster = this.#cluster as ClusterRuntime;
    cluster.stats.upstream_rq_total++;
    this.#upstream = upstream;
    upstream.begin(this, this.method === "HEAD", this.#upgrade !== undefined);
    this.#sentAt = performance.now();
    if (this.#forward?.host?.kind === "upstream" && host.spec.hostname !== "") this.#setAuthority(host.spec.hostname);
    const { writer } = upstream;
    writer.text(this.#requestText());
    for (const part of this.#body) this.#writeBody(part);
    if (!this.#keepsBody) this.#body = [];
    if (this.#requestEnded) this.#endUpstreamRequest();
    if (this.#connection.isReading) return; // the rest of what was read goes out with it
    this.#flushRequest();
    this.#connection.resumeBody();
  }

  #requestText(): string {
    const { headers } = this;
    if (this.#host?.countsAttempts) setHeader(headers, "x-envoy-attempt-count", String(this.attempts));
    let text = `${this.method} ${this.path} HTTP/1.1\r\nhost: ${this.authority}\r\n`;
    for (let i = 0; i < headers.length; i += 2) text += `${headers[i]}: ${headers[i + 1]}\r\n`;
    if (this.#upgrade !== undefined) text += `connection: upgrade\r\nupgrade: ${this.#upgrade}\r\n`;
    if (this.#isChunked) return `${text}transfer-encoding: chunked\r\n\r\n`;
    if (this.#contentLength >= 0) return `${text}content-length: ${this.#contentLength}\r\n\r\n`;
    // RFC 9110 §8.6: a method that may be meant to have content says that it has none.
    if (this.#upgrade === undefined && !withoutContent.has(this.method)) return `${text}content-length: 0\r\n\r\n`;
    return `${text}\r\n`;
  }

  #writeBody(data: Buffer): void {
    const writer = this.#upstream?.writer;
    if (this.#isChunked) writer?.chunk(data);
    else writer?.data(data);
  }

  #endUpstreamRequest(): void {
    if (this.#isChunked) this.#upstream?.writer.text("0\r\n\r\n");
    if (this.#upgrade === undefined) this.#upstream?.endRequest();
  }

  /** Request body from the client. */
  onBodyData(data: Buffer): void {
    if (this.#isDone) return;
    this.bytesReceived += data.length;
    this.#connection.idle.set(this.#streamIdleMs);
    if (this.#isTunnel) {
      this.#upstream?.writer.data(data);
      return;
    }
    if (this.#upstream === undefined || this.#keepsBody) {
      this.#body.push(data);
      this.#bodySize += data.length;
      const limit = this.#route?.bufferLimit ?? this.#host?.bufferLimit ?? defaultBufferLimit;
      if (this.#keepsBody && this.#bodySize > limit) this.#keepsBody = false;
    }
    if (this.#upstream === undefined) {
      if (this.#bodySize > 65_536) this.#connection.pauseBody();
      return;
    }
    this.#writeBody(data);
    if (!this.#keepsBody && this.#body.length > 0) this.#body = [];
  }

  onBodyEnd(): void {
    if (this.#isDone) return;
    this.#requestEnded = true;
    this.#startRouteTimer();
    if (this.#upstream !== undefined) this.#endUpstreamRequest();
  }

  /** All that one read brought was handed over. */
  onBodyFlush(): void {
    this.#flushRequest();
  }

  #flushRequest(): void {
    const upstream = this.#upstream;
    if (upstream === undefined) return;
    if (!upstream.writer.flush() && !(this.#requestEnded && !this.#isTunnel)) this.#connection.pauseBody();
  }

  onUpstreamDrain(): void {
    this.#connection.resumeBody();
  }

  // — the response —

  onResponseHead(head: ResponseHead): void {
    const cluster = this.#cluster as ClusterRuntime;
    const { stats } = cluster;
    if (head.status < 400) {
      if (head.status < 300) stats.upstream_rq_2xx++;
      else stats.upstream_rq_3xx++;
    } else if (head.status < 500) stats.upstream_rq_4xx++;
    else stats.upstream_rq_5xx++;
    if (head.status === 101) {
      if (!this.#isExpectedUpgrade(head)) {
        this.#dropUpstream();
        this.reply(
          502,
          "upstream connect error or disconnect/reset before headers. reset reason: protocol error",
          "UPE",
          "upgrade_mismatch",
        );
        return;
      }
      this.#isTunnel = true;
      this.#connection.beginTunnel();
      this.#connection.request.clear();
      this.#connection.try.clear();
    } else if (this.#retry !== undefined && shouldRetryResponse(this.#retry, head, this.method) && this.#scheduleRetry()) return;
    else if (this.#isRetry) stats.upstream_rq_retry_success++;
    this.#connection.try.clear();

    const headers = head.headers;
    this.responseStatus = head.status;
    this.responseDetails = "via_upstream";
    if (this.#hcm.envoyHeaders) {
      setHeader(headers, "x-envoy-upstream-service-time", String(Math.floor(performance.now() - this.#sentAt)));
    }
    if (this.#host?.tellsAttempts) setHeader(headers, "x-envoy-attempt-count", String(this.attempts));
    this.responseHeaders = headers;
    this.#mutateResponse(headers);
    sendHeaders(headers, this.#hcm, false);
    if (this.#hcm.requestIdInResponse) this.#tellRequestId(headers);

    let text = `HTTP/1.1 ${head.status} ${STATUS_CODES[head.status] ?? "Unknown"}\r\n`;
    for (let i = 0; i < headers.length; i += 2) text += `${headers[i]}: ${headers[i + 1]}\r\n`;
    if (this.#isTunnel) {
      this.#connection.writer.text(`${text}connection: upgrade\r\nupgrade: ${head.upgrade ?? this.#upgrade}\r\n\r\n`);
      this.#headSent = true;
      this.#connection.idle.set(this.#streamIdleMs);
      return;
    }
    // RFC 9931: after a refused upgrade, what the client sent on is not a request.
    if (this.#upgrade !== undefined) this.#closesAfter = true;
    const hasNoBody = head.status === 204 || head.status === 304 || this.method === "HEAD";
    if (head.contentLength >= 0 && head.status !== 204) text += `content-length: ${head.contentLength}\r\n`;
    else if (!hasNoBody || (this.method === "HEAD" && head.isChunked)) {
      if (this.#minor === 1) {
        text += "transfer-encoding: chunked\r\n";
        this.#responseChunked = !hasNoBody;
      } else this.#closesAfter = true;
    }
    if (this.#connection.closesAfter(this.#closesAfter)) {
      this.#closesAfter = true;
      text += "connection: close\r\n";
    } else if (this.#minor === 0) text += "connection: keep-alive\r\n";
    this.#headSent = true;
    this.#connection.writer.text(`${text}\r\n`);
  }

  #tellRequestId(headers: Headers): void {
    // Only one that counts: what a client says before its request was looked at does not.
    const id = this.#isReceived ? headerValue(this.headers, "x-request-id") : undefined;
    if (id !== undefined) setHeader(headers, "x-request-id", id);
  }

  #isExpectedUpgrade(head: ResponseHead): boolean {
    if (this.#upgrade === undefined || head.upgrade?.toLowerCase() !== this.#upgrade.toLowerCase()) return false;
    if (!this.isWebSocket) return true;
    const key = headerValue(this.headers, "sec-websocket-key");
    if (key === undefined) return false;
    const accept = createHash("sha1").update(`${key}258EAFA5-E914-47DA-95CA-C5AB0DC85B11`).digest("base64");
    return headerValue(head.headers, "sec-websocket-accept") === accept;
  }

  #mutateResponse(headers: Headers): void {
    if (this.#choice?.responseMutations !== undefined) mutateHeaders(headers, this.#choice.responseMutations, this);
    const levels = [this.#route?.responseMutations, this.#host?.responseMutations, this.#config?.responseMutations];
    if (this.#config?.mostSpecificWins) levels.reverse();
    for (const mutations of levels) if (mutations !== undefined) mutateHeaders(headers, mutations, this);
  }

  onResponseData(data: Buffer): void {
    this.bytesSent += data.length;
    const { writer } = this.#connection;
    if (this.#responseChunked) writer.chunk(data);
    else writer.data(data);
  }

  onResponseFlush(): void {
    if (this.#isDone || !this.#headSent) return;
    const idle = this.#streamIdleMs;
    if (idle !== Number.POSITIVE_INFINITY) this.#connection.idle.set(idle);
    if (!this.#connection.writer.flush()) this.#upstream?.socket.pause();
  }

  onDownstreamDrain(): void {
    this.#upstream?.socket.resume();
  }

  onResponseEnd(): void {
    if (this.#isTunnel) {
      this.#connection.writer.flush();
      this.#closesAfter = true;
      this.#end();
      return;
    }
    if (this.#responseChunked) this.#connection.writer.text("0\r\n\r\n");
    this.#connection.writer.flush();
    this.#upstream = undefined;
    this.#end();
  }

  // — what goes wrong —

  onNoConnection(failure: UpstreamFailure, detail: string): void {
    this.#onFailure(failure, detail, false);
  }

  onUpstreamFailure(failure: UpstreamFailure, detail: string): void {
    const upstream = this.#upstream;
    this.#upstream = undefined;
    if (this.#headSent) {
      // Half a response was sent: the client must see that it is not whole.
      this.responseFlags = "UC";
      this.responseDetails = "upstream_reset_after_response_started";
      (this.#cluster as ClusterRuntime).stats.upstream_rq_rx_reset++;
      this.#closesAfter = true;
      if (!this.#isTunnel) this.#connection.abort();
      this.#end();
      return;
    }
    // A kept connection may be closed by the upstream in the moment that we use it. Who sent nothing but a request that may be sent twice,
    // and got not a byte, sends it again (RFC 9110 §9.2.2).
    const isStale =
      upstream !== undefined && upstream.served > 1 && !upstream.responseBegan && (failure === "closed" || failure === "reset");
    if (
      isStale &&
      idempotent.has(this.method) &&
      this.#contentLength <= 0 &&
      !this.#isChunked &&
      this.#upgrade === undefined &&
      this.#resendsLeft > 0
    ) {
      this.#resendsLeft--;
      this.#release();
      this.attempts--;
      this.#attempt();
      return;
    }
    this.#onFailure(failure, detail, true);
  }

  #onFailure(failure: UpstreamFailure, detail: string, wasSent: boolean): void {
    if (failure === "overflow") {
      this.#overflow();
      return;
    }
    (this.#cluster as ClusterRuntime).stats.upstream_rq_rx_reset++;
    if (this.#retry !== undefined && shouldRetryFailure(this.#retry, failure, wasSent) && this.#scheduleRetry()) return;
    const before = "upstream connect error or disconnect/reset before headers. ";
    switch (failure) {
      case "malformed":
        this.#fail(502, `${before}reset reason: protocol error`, "UPE", `upstream_protocol_error{${detail}}`);
        return;
      case "connect":
        this.#fail(503, `${before}reset reason: remote connection failure`, "UF", `upstream_connection_failure{${detail}}`);
        return;
      case "connectTimeout":
        this.#fail(503, `${before}reset reason: connection timeout`, "UF", "upstream_connection_timeout");
        return;
      default:
        this.#fail(
          503,
          `${before}reset reason: connection termination`,
          "UC",
          "upstream_reset_before_response_started{connection_termination}",
        );
        return;
    }
  }

  #overflow(): void {
    this.#release();
    this.#fail(503, "upstream connect error or disconnect/reset before headers. reset reason: overflow", "UO", "upstream_overflow", [
      "x-envoy-overloaded",
      "true",
    ]);
  }

  /** Whether there is another attempt to come. */
  #scheduleRetry(): boolean {
    const retry = this.#retry as CompiledRetry;
    const cluster = this.#cluster as ClusterRuntime;
    const hasBody = this.#isChunked || this.#contentLength > 0;
    if (this.attempts > retry.count || (hasBody && !this.#keepsBody) || this.#upgrade !== undefined) {
      if (this.attempts > retry.count) this.responseFlags = "URX";
      return false;
    }
    const limits = this.#forward?.isHighPriority ? cluster.config.limits.high : cluster.config.limits.normal;
    if (cluster.retries >= limits.retries) {
      cluster.stats.upstream_rq_retry_overflow++;
      return false;
    }
    this.#dropUpstream();
    if (this.#upstreamHost !== undefined) {
      this.#tried ??= new Set();
      this.#tried.add(this.#upstreamHost);
    }
    cluster.stats.upstream_rq_retry++;
    cluster.retries++;
    this.#isRetry = true;
    this.#connection.try.clear();
    const ceiling = Math.min(retry.baseMs * 2 ** this.attempts - 1, retry.maxMs);
    this.#retryTimer = setTimeout(() => {
      this.#retryTimer = undefined;
      cluster.retries--;
      if (this.#isDone) return;
      if (this.#requestEnded) this.#startTryTimer();
      this.#tellTimeout();
      this.#attempt();
    }, Math.random() * ceiling);
    return true;
  }

  onRouteTimeout(): void {
    const stats = this.#cluster?.stats;
    if (stats !== undefined) stats.upstream_rq_timeout++;
    this.#timedOut("UT", "response_timeout");
  }

  onTryTimeout(): void {
    const cluster = this.#cluster as ClusterRuntime;
    cluster.stats.upstream_rq_per_try_timeout++;
    if (this.#retry !== undefined && !this.#headSent && shouldRetryFailure(this.#retry, "perTryTimeout", true) && this.#scheduleRetry())
      return;
    this.#timedOut("UT", "upstream_per_try_timeout");
  }

  #timedOut(flag: string, details: string): void {
    this.#dropUpstream();
    this.#fail(504, "upstream request timeout", flag, details);
  }

  onIdleTimeout(): void {
    if (this.#isTunnel || this.#headSent) {
      this.responseFlags = "SI";
      this.#dropUpstream();
      this.#connection.abort();
      this.#end();
      return;
    }
    this.#dropUpstream();
    if (this.#requestEnded) this.#fail(504, "stream timeout", "SI", "stream_idle_timeout");
    else this.#fail(408, "stream timeout", "SI", "stream_idle_timeout");
  }

  /** A malformed body: the upstream must not take what it got for the whole. */
  onRequestMalformed(): void {
    this.#dropUpstream();
    this.responseFlags = "DPE";
    if (this.#headSent) {
      this.#connection.abort();
      this.#end();
      return;
    }
    this.#closesAfter = true;
    this.reply(400, "Bad Request", "DPE", "http1.codec_error");
  }

  onDownstreamClose(): void {
    if (this.#isDone) return;
    this.responseFlags = "DC";
    this.responseDetails ||= "downstream_remote_disconnect";
    (this.#cluster?.stats ?? nowhere).upstream_rq_tx_reset++;
    this.#dropUpstream();
    this.#end();
  }

  #dropUpstream(): void {
    const upstream = this.#upstream;
    this.#upstream = undefined;
    upstream?.abandon();
    this.#upstreamHost?.cancel(this);
    this.#release();
  }

  #release(): void {
    if (!this.#isCounted) return;
    this.#isCounted = false;
    (this.#cluster as ClusterRuntime).requests--;
    (this.#upstreamHost as Host).activeRequests--;
  }

  #fail(status: number, body: string, flag: string, details: string, extra: readonly string[] = []): void {
    if (this.#headSent) {
      this.responseFlags = flag;
      this.#connection.abort();
      this.#end();
      return;
    }
    this.reply(status, body, this.responseFlags === "" ? flag : `${flag},${this.responseFlags}`, details, extra);
  }

  #redirectTo(action: Extract<Action, { kind: "redirect" }>): void {
    const location = action.location(this);
    // What operators in the headers of the answer then see as the path, in Envoy too.
    if (action.rewrite !== undefined) {
      const path = pathOnly(this.path);
      this.path = action.rewrite(path) + this.path.slice(path.length);
    }
    this.#redirect(action.status, location);
  }

  #redirect(status: number, location: string): void {
    this.reply(status, "", "", "direct_response", ["location", location]);
  }

  /** An answer of the proxy itself. */
  reply(status: number, body: string, flags: string, details: string, extra: readonly string[] = []): void {
    if (this.#isDone || this.#headSent) return;
    this.#dropUpstream();
    this.responseFlags = flags;
    this.responseDetails = details;
    const headers: Headers = [...extra];
    if (body !== "") headers.push("content-type", "text/plain");
    if (this.#host?.tellsAttempts && this.attempts > 0) headers.push("x-envoy-attempt-count", String(this.attempts));
    if (this.#route !== undefined) this.#mutateResponse(headers);
    sendHeaders(headers, this.#hcm, true);
    if (this.#hcm.requestIdInResponse) this.#tellRequestId(headers);
    // Not before: for Envoy, %RESPONSE_CODE% in the headers of its own answers is 0.
    this.responseStatus = status;
    this.responseHeaders = headers;
    let text = `HTTP/1.1 ${status} ${STATUS_CODES[status] ?? "Unknown"}\r\n`;
    for (let i = 0; i < headers.length; i += 2) text += `${headers[i]}: ${headers[i + 1]}\r\n`;
    // Of an answer to HEAD without a text, Envoy does not say that it is empty.
    if (status !== 204 && status >= 200 && (body !== "" || this.method !== "HEAD")) text += `content-length: ${body.length}\r\n`;
    // A client that is still sending is not listened to any more.
    if (!this.#requestEnded) this.#closesAfter = true;
    if (this.#connection.closesAfter(this.#closesAfter)) {
      this.#closesAfter = true;
      text += "connection: close\r\n";
    } else if (this.#minor === 0) text += "connection: keep-alive\r\n";
    text += "\r\n";
    const hasBody = this.method !== "HEAD" && status !== 204 && status !== 304;
    if (hasBody) {
      text += body;
      this.bytesSent += body.length;
    }
    this.#headSent = true;
    this.#connection.writer.text(text);
    this.#connection.writer.flush();
    this.#end();
  }

  #end(): void {
    if (this.#isDone) return;
    this.#isDone = true;
    clearTimeout(this.#retryTimer);
    if (this.#retryTimer !== undefined) (this.#cluster as ClusterRuntime).retries--;
    this.#release();
    this.#body = [];
    for (const log of this.#hcm.accessLogs) this.#connection.log(log, this);
    this.#connection.onExchangeEnd(this, this.#closesAfter);
  }

  /** The path before the route rewrote it. */
  get originalPath(): string {
    return this.#originalPath || this.path;
  }
}

const nowhere = { upstream_rq_tx_reset: 0 };
