// Answers of our own: errors, redirects, direct responses.

import type { Action } from "../compile/route.ts";
import { sendHeaders } from "../edge.ts";
import type { BodySink, FilteredResponse } from "../filters/http-filter.ts";
import { type Headers, hasHeader, removeHeader } from "../http1/headers.ts";
import { pathOnly } from "../match.ts";
import type { Exchange } from "./exchange.ts";
import { filterResponse } from "./filter-chain.ts";
import { isGrpc, toTrailersOnly } from "./grpc.ts";
import { mutateResponse, tellRequestId } from "./rewrite.ts";
import { ToClient } from "./to-client.ts";
import { tellOperation } from "./trace.ts";

/** Envoy's words for an upstream that did not answer. */
export function resetText(exchange: Exchange, reason: string): string {
  const last = exchange.attempts > 1 ? "retried and the latest " : "";
  return `upstream connect error or disconnect/reset before headers. ${last}reset reason: ${reason}`;
}

export interface AnswerOptions {
  readonly headers?: readonly string[];
  /** For clients of gRPC, where it does not follow from the status. */
  readonly grpcStatus?: number;
  /** In the place of a response that the filters have seen already. */
  readonly isUnfiltered?: boolean;
  /** The route does not change its headers. */
  readonly ignoresRoute?: boolean;
  /** After the route; what type the body has is settled after that. */
  readonly change?: (headers: Headers) => void;
}

/** An answer of the proxy itself. */
export function reply(
  exchange: Exchange,
  status: number,
  body: string,
  flags: string,
  details: string,
  { headers: extra = [], grpcStatus, isUnfiltered = false, ignoresRoute = false, change }: AnswerOptions = {},
): void {
  if (exchange.isDone || exchange.headSent) return;
  exchange.dropUpstream();
  // As Envoy: with a client that sent what cannot be understood, it does not go on.
  if (status === 400) exchange.closesAfter = true;
  exchange.responseFlags = flags;
  exchange.responseDetails = details;
  const headers = answerHeaders(exchange, body, extra, ignoresRoute, change);
  let answer = { status, body };
  if (isGrpc(exchange.headers) && !exchange.answersAsHttp) {
    toTrailersOnly(headers, status, exchange.isHead ? "" : body, grpcStatus);
    answer = { status: 200, body: "" };
  }
  if (exchange.filters === undefined || isUnfiltered) {
    addOwnHeaders(exchange, headers);
    send(exchange, answer.status, headers, answer.body);
  } else sendFiltered(exchange, answer.status, headers, answer.body);
}

function send(exchange: Exchange, status: number, headers: Headers, body: string): void {
  // Not before: for Envoy, %RESPONSE_CODE% in the headers of its own answers is 0.
  exchange.responseStatus = status;
  exchange.responseHeaders = headers;
  // A client that is still sending is not listened to any more.
  if (!exchange.clientEnded) exchange.closesAfter = true;
  if (!exchange.isHead && status !== 204 && status !== 304) exchange.bytesSent += body.length;
  exchange.headSent = true;
  exchange.client.sendAnswer(exchange, status, headers, body);
  exchange.end();
}

/** The filters see it as they see the response of an upstream. */
function sendFiltered(exchange: Exchange, status: number, headers: Headers, body: string): void {
  const isBare = exchange.isHead || status === 204 || status === 304;
  const hasNoBody = isBare || body === "";
  // From here on nobody else answers.
  exchange.headSent = true;
  const sink = filterResponse(
    exchange,
    { status, headers, contentLength: body.length || -1, isChunked: false, hasNoBody, isBare },
    (response) => {
      addOwnHeaders(exchange, response.headers);
      const isWhole = response.contentLength >= 0 || response.hasNoBody;
      return isWhole ? new WholeAnswer(exchange, response, body) : sendAsItComes(exchange, response);
    },
  );
  if (!hasNoBody) sink.data(Buffer.from(body, "latin1"));
  sink.end(undefined);
}

class WholeAnswer implements BodySink {
  readonly #exchange: Exchange;
  readonly #response: FilteredResponse;
  readonly #own: string;
  #body = "";

  /** @param own what it was before the filters, whose length a response to HEAD tells */
  constructor(exchange: Exchange, response: FilteredResponse, own: string) {
    this.#exchange = exchange;
    this.#response = response;
    this.#own = own;
  }

  data(data: Buffer): void {
    this.#body += data.toString("latin1");
  }

  flush(): boolean {
    return true;
  }

  end(): void {
    const { status, headers, isBare } = this.#response;
    if (!this.#exchange.isDone) send(this.#exchange, status, headers, isBare ? this.#own : this.#body);
  }
}

/** How long it is in the end, nobody knows yet. */
function sendAsItComes(exchange: Exchange, { status, headers, hasNoBody }: FilteredResponse): BodySink {
  exchange.responseStatus = status;
  exchange.responseHeaders = headers;
  if (!exchange.clientEnded) exchange.closesAfter = true;
  const head = {
    status,
    reason: "",
    headers,
    contentLength: -1,
    isChunked: false,
    keepsAlive: true,
    upgrade: undefined,
    isWhole: hasNoBody,
  };
  exchange.client.sendHead(exchange, head);
  return new ToClient(exchange);
}

function answerHeaders(
  exchange: Exchange,
  body: string,
  extra: readonly string[],
  ignoresRoute: boolean,
  change: AnswerOptions["change"],
): Headers {
  const headers: Headers = [...extra];
  if (body !== "" && change === undefined && !hasHeader(headers, "content-type")) headers.push("content-type", "text/plain");
  if (exchange.virtualHost?.tellsAttempts && exchange.attempts > 0) headers.push("x-envoy-attempt-count", String(exchange.attempts));
  if (isRoutes(exchange, ignoresRoute)) mutateResponse(exchange, headers);
  if (change === undefined) return headers;
  change(headers);
  if (body === "") removeHeader(headers, "content-type");
  else if (!hasHeader(headers, "content-type")) headers.push("content-type", "text/plain");
  return headers;
}

/** Whether the route changes the headers of an answer: of those of filters, only where it would have forwarded. */
function isRoutes({ route, isInFilters }: Exchange, ignoresRoute: boolean): boolean {
  if (route === undefined || ignoresRoute) return false;
  return !isInFilters || route.action.kind === "forward";
}

function addOwnHeaders(exchange: Exchange, headers: Headers): void {
  sendHeaders(headers, exchange.hcm, true);
  if (exchange.hcm.requestIdInResponse) tellRequestId(exchange, headers);
  tellOperation(exchange, headers);
}

/** An answer to what went wrong; when the answer has begun, the connection is cut instead. */
export function fail(exchange: Exchange, status: number, body: string, flag: string, details: string, options: AnswerOptions = {}): void {
  // Its client may be in the middle of the next exchange.
  if (exchange.isDone) return;
  if (exchange.headSent) {
    exchange.responseFlags = flag;
    exchange.client.abort();
    exchange.end();
    return;
  }
  // What an upstream did not answer counts as its answer.
  if (flag.startsWith("U")) exchange.cluster?.responses.count(status);
  reply(exchange, status, body, exchange.responseFlags === "" ? flag : `${exchange.responseFlags},${flag}`, details, options);
}

export function redirect(exchange: Exchange, status: number, location: string): void {
  reply(exchange, status, "", "", "direct_response", { headers: ["location", location] });
}

export function redirectTo(exchange: Exchange, action: Extract<Action, { kind: "redirect" }>): void {
  const location = action.location(exchange);
  // What operators in the headers of the answer then see as the path, in Envoy too.
  if (action.rewrite !== undefined) {
    const path = pathOnly(exchange.path);
    exchange.path = action.rewrite(path) + exchange.path.slice(path.length);
  }
  redirect(exchange, action.status, location);
}
