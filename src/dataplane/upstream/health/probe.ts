// One active health check of one host.

import type { Socket } from "node:net";
import type { Checker, CompiledHealthCheck } from "../../compile/health-checks.ts";
import type { CompiledHttp2 } from "../../compile/http2-options.ts";
import { type Headers, headerValue, removeHeader, setHeader } from "../../http1/headers.ts";
import type { ResponseHead } from "../../http1/response-head.ts";
import { GatheredBody } from "../gathered-body.ts";
import { Http1Upstream } from "../http1-connection.ts";
import { Http2Session } from "../http2-session.ts";
import type { OutgoingRequest, ResponseHandler, UpstreamStream } from "../stream.ts";
import { grpcCheckMessage, isServing } from "./grpc-health.ts";

/** `failed` counts, `unhealthy` is enough at once: the host answered, and not what anybody wants to hear. */
export type CheckResult = "healthy" | "failed" | "unhealthy";

/** Of an answer, no more is looked at than this. */
const mostAnswerBytes = 65_536;

export interface ProbeTarget {
  readonly clusterName: string;
  /** The host's own name, for the Host header. */
  readonly hostname: string;
  readonly http2: CompiledHttp2;
  open(protocol: "http1" | "http2"): { readonly socket: Socket; readonly connected: "connect" | "secureConnect" };
}

/** Asks once, on a connection of its own that is closed after it, and answers once. */
export function probe(check: CompiledHealthCheck, target: ProbeTarget, onResult: (result: CheckResult) => void): { cancel(): void } {
  const { checker } = check;
  const protocol = checker.kind === "grpc" || (checker.kind === "http" && checker.protocol === "http2") ? "http2" : "http1";
  const { socket, connected } = target.open(protocol);
  let isDone = false;
  let session: Http2Session | undefined;
  const finish = (result: CheckResult | undefined) => {
    if (isDone) return;
    isDone = true;
    clearTimeout(timer);
    if (session !== undefined) session.destroy();
    else socket.destroy();
    if (result !== undefined) onResult(result);
  };
  const timer = setTimeout(() => finish("failed"), check.timeoutMs);
  timer.unref();
  socket.on("error", () => finish("failed"));
  socket.on("close", () => finish("failed"));
  socket.once(connected, () => {
    if (isDone) return;
    if (checker.kind === "tcp") {
      askTcp(socket, checker, finish);
      return;
    }
    const owner = {
      maxResponseHeaders: 100,
      maxResponseHeadBytes: 61_440,
      http2: target.http2,
      onIdle: () => undefined,
      onRoom: () => undefined,
      onClose: () => undefined,
    };
    let stream: UpstreamStream;
    if (protocol === "http2") {
      session = new Http2Session(socket, owner);
      stream = session.open();
    } else stream = new Http1Upstream(socket, owner);
    if (checker.kind === "grpc") askGrpc(stream, checker, target, finish);
    else askHttp(stream, checker, target, finish);
  });
  return { cancel: () => finish(undefined) };
}

type Finish = (result: CheckResult) => void;

/** All of `receive` must come, in this order, with whatever between them. */
function askTcp(socket: Socket, { send, receive }: Extract<Checker, { kind: "tcp" }>, finish: Finish): void {
  if (send !== undefined) socket.write(send);
  if (receive.length === 0) {
    finish("healthy");
    return;
  }
  let got: Buffer = Buffer.alloc(0);
  socket.on("data", (data: Buffer) => {
    got = Buffer.concat([got, data]);
    if (hasAll(got, receive)) finish("healthy");
    else if (got.length > mostAnswerBytes) finish("failed");
  });
}

function hasAll(data: Buffer, wanted: readonly Buffer[]): boolean {
  let from = 0;
  for (const each of wanted) {
    const at = data.indexOf(each, from);
    if (at < 0) return false;
    from = at + each.length;
  }
  return true;
}

function askHttp(stream: UpstreamStream, checker: Extract<Checker, { kind: "http" }>, target: ProbeTarget, finish: Finish): void {
  const headers: Headers = ["user-agent", "Envoy/HC"];
  for (let i = 0; i < checker.add.length; i += 2) setHeader(headers, checker.add[i] as string, checker.add[i + 1] as string);
  for (const name of checker.remove) removeHeader(headers, name);
  const authority = checker.host || target.hostname || target.clusterName;
  const answer = new Answer(({ head, body }) => finish(head === undefined ? "failed" : judge(checker, head, body)));
  ask(stream, answer, { method: checker.method, path: checker.path, authority, headers, contentLength: -1 });
  stream.endRequest(undefined);
  stream.flush();
}

function judge(checker: Extract<Checker, { kind: "http" }>, { status, headers }: ResponseHead, body: Buffer): CheckResult {
  if (headerValue(headers, "x-envoy-immediate-health-check-fail") !== undefined) return "unhealthy";
  if (checker.isRetriable(status)) return "failed";
  if (!checker.isExpected(status)) return "unhealthy";
  if (checker.isService !== undefined && !checker.isService(headerValue(headers, "x-envoy-upstream-healthchecked-cluster") ?? ""))
    return "unhealthy";
  return checker.receive.length === 0 || hasAll(body, checker.receive) ? "healthy" : "failed";
}

function askGrpc(stream: UpstreamStream, checker: Extract<Checker, { kind: "grpc" }>, target: ProbeTarget, finish: Finish): void {
  const message = grpcCheckMessage(checker.service);
  const headers: Headers = ["content-type", "application/grpc", "te", "trailers", "user-agent", "Envoy/HC", ...checker.metadata];
  const authority = checker.authority || target.hostname || target.clusterName;
  const answer = new Answer(({ head, body, trailers }) => {
    const status = headerValue(trailers ?? head?.headers ?? [], "grpc-status");
    if (head === undefined) finish("failed");
    else if (head.status !== 200 || status !== "0" || !isServing(body)) finish("unhealthy");
    else finish("healthy");
  });
  ask(stream, answer, { method: "POST", path: "/grpc.health.v1.Health/Check", authority, headers, contentLength: message.length });
  stream.sendData(message);
  stream.endRequest(undefined);
  stream.flush();
}

function ask(stream: UpstreamStream, answer: Answer, request: Omit<OutgoingRequest, "scheme" | "isChunked" | "upgrade">): void {
  stream.begin(answer, { ...request, scheme: "http", isChunked: false, upgrade: undefined });
}

interface Gathered {
  /** Undefined: there was no answer, or no whole one. */
  readonly head: ResponseHead | undefined;
  readonly body: Buffer;
  readonly trailers: Headers | undefined;
}

class Answer implements ResponseHandler {
  readonly #onDone: (gathered: Gathered) => void;
  readonly #body = new GatheredBody(mostAnswerBytes);
  #head: ResponseHead | undefined;

  constructor(onDone: (gathered: Gathered) => void) {
    this.#onDone = onDone;
  }

  onResponseHead(head: ResponseHead): void {
    this.#head = head;
  }
  onResponseData(data: Buffer): void {
    this.#body.add(data);
  }
  onResponseEnd(trailers: Headers | undefined): void {
    this.#onDone({ head: this.#head, body: this.#body.whole(), trailers });
  }
  onUpstreamFailure(): void {
    this.#onDone({ head: undefined, body: Buffer.alloc(0), trailers: undefined });
  }
  onResponseFlush(): void {}
  onUpstreamDrain(): void {}
}
