// A client and an upstream that send and receive exactly the bytes that they are told: HTTP libraries would mend what tests must break.

import { connect, createServer, type Server, type Socket } from "node:net";
import { setTimeout as delay } from "node:timers/promises";

export interface RawResponse {
  readonly status: number;
  readonly headers: readonly (readonly [string, string])[];
  readonly body: string;
  /** Everything that was received, as latin1. */
  readonly text: string;
  /** The body ended as its framing says, not with the connection. */
  readonly isWhole: boolean;
  /** The proxy closed the connection. */
  readonly isClosed: boolean;
}

/** Sends bytes on a new connection and reads one response; undefined when the connection was closed without one. */
export async function rawRequest(
  port: number,
  bytes: string | readonly string[],
  options: { readonly waitMs?: number; readonly closeWaitMs?: number; readonly isHead?: boolean } = {},
): Promise<RawResponse | undefined> {
  const socket = connect(port, "127.0.0.1");
  let text = "";
  let isClosed = false;
  let wake = () => {};
  socket.on("data", (data) => {
    text += data.toString("latin1");
    wake();
  });
  socket.on("error", () => undefined);
  socket.on("close", () => {
    isClosed = true;
    wake();
  });
  socket.on("end", () => {
    isClosed = true;
    wake();
  });
  const parts = typeof bytes === "string" ? [bytes] : bytes;
  for (const part of parts) {
    socket.write(part, "latin1");
    if (parts.length > 1) await delay(5);
  }
  const end = performance.now() + (options.waitMs ?? 15_000);
  let parsed = parseRaw(text, isClosed, options.isHead ?? false);
  while (parsed === undefined && !isClosed && performance.now() < end) {
    const awake = new Promise<void>((resolve) => {
      wake = resolve;
    });
    await Promise.race([awake, delay(Math.max(1, end - performance.now()), undefined, { ref: false })]);
    parsed = parseRaw(text, isClosed, options.isHead ?? false);
  }
  const closeEnd = performance.now() + (options.closeWaitMs ?? 0);
  while (!isClosed && performance.now() < closeEnd) await delay(2);
  socket.destroy();
  return (
    (parsed ?? parseRaw(text, true, options.isHead ?? false)) && {
      ...(parsed ?? (parseRaw(text, true, options.isHead ?? false) as RawResponse)),
      isClosed,
    }
  );
}

/** The first final response in a text; undefined while it is not whole. */
export function parseRaw(whole: string, isClosed: boolean, isHead: boolean): RawResponse | undefined {
  let text = whole;
  for (;;) {
    const end = text.indexOf("\r\n\r\n");
    if (end < 0) return undefined;
    const lines = text.slice(0, end).split("\r\n");
    const status = Number(lines[0]?.split(" ")[1]);
    const rest = text.slice(end + 4);
    if (status >= 100 && status < 200 && status !== 101) {
      text = rest;
      continue;
    }
    const headers = lines.slice(1).map((line): [string, string] => {
      const colon = line.indexOf(":");
      return [line.slice(0, colon).toLowerCase(), line.slice(colon + 1).trim()];
    });
    const get = (name: string) => headers.find(([key]) => key === name)?.[1];
    const done = (body: string, isWhole: boolean): RawResponse => ({ status, headers, body, text: whole, isWhole, isClosed });
    if (isHead || status === 204 || status === 304 || status === 101) return done("", true);
    const length = get("content-length");
    if (length !== undefined) {
      if (rest.length >= Number(length)) return done(rest.slice(0, Number(length)), true);
      return isClosed ? done(rest, false) : undefined;
    }
    if (get("transfer-encoding") === "chunked") {
      let body = "";
      let at = 0;
      for (;;) {
        const lineEnd = rest.indexOf("\r\n", at);
        if (lineEnd < 0) return isClosed ? done(body, false) : undefined;
        const size = Number.parseInt(rest.slice(at, lineEnd), 16);
        if (size === 0) {
          if (rest.indexOf("\r\n", lineEnd + 2) >= 0) return done(body, true);
          return isClosed ? done(body, false) : undefined;
        }
        if (rest.length < lineEnd + 2 + size + 2)
          return isClosed ? done(body + rest.slice(lineEnd + 2, lineEnd + 2 + size), false) : undefined;
        body += rest.slice(lineEnd + 2, lineEnd + 2 + size);
        at = lineEnd + 2 + size + 2;
      }
    }
    return isClosed ? done(rest, true) : undefined;
  }
}

export interface RawUpstream extends AsyncDisposable {
  readonly port: number;
  readonly name: string;
  /** Requests it has read, whole: head and body. */
  readonly requests: string[];
  readonly connections: Set<Socket>;
  /** Connections so far. */
  accepted: number;
  /** What it answers; by default an echo as JSON. Undefined: it answers nothing. */
  answer: (request: EchoRequest, socket: Socket) => string | Buffer | undefined;
}

export interface EchoRequest {
  readonly upstream: string;
  readonly method: string;
  readonly path: string;
  readonly headers: readonly (readonly [string, string])[];
  readonly body: string;
}

/** An upstream that reads requests strictly and tells in its answer what it got. */
export async function rawUpstream(name: string): Promise<RawUpstream> {
  const connections = new Set<Socket>();
  const requests: string[] = [];
  const server: Server = createServer({ noDelay: true }, (socket) => {
    upstream.accepted++;
    connections.add(socket);
    let text = "";
    socket.on("close", () => connections.delete(socket));
    socket.on("error", () => undefined);
    socket.on("data", (data) => {
      text += data.toString("latin1");
      for (;;) {
        const read = readRequest(name, text);
        if (read === undefined) break;
        requests.push(text.slice(0, read.length));
        text = text.slice(read.length);
        const answer = upstream.answer(read.request, socket);
        if (answer !== undefined && !socket.destroyed) socket.write(answer as string, "latin1");
      }
    });
  });
  await new Promise<void>((resolve) => server.listen(0, "127.0.0.1", resolve));
  const upstream: RawUpstream = {
    port: (server.address() as { port: number }).port,
    name,
    requests,
    connections,
    accepted: 0,
    answer: (request) => echo(request),
    async [Symbol.asyncDispose]() {
      for (const socket of connections) socket.destroy();
      await new Promise((resolve) => server.close(resolve));
    },
  };
  return upstream;
}

/** What an upstream got, as its answer. A request may say in `x-answer` (latin1 as base64) what the answer is instead. */
export function echo(request: EchoRequest): string {
  const wanted = request.headers.find(([key]) => key === "x-answer")?.[1];
  if (wanted !== undefined) return Buffer.from(wanted, "base64").toString("latin1");
  const body = JSON.stringify(request);
  return `HTTP/1.1 200 OK\r\ncontent-type: application/json\r\ncontent-length: ${body.length}\r\n\r\n${body}`;
}

function readRequest(upstream: string, text: string): { request: EchoRequest; length: number } | undefined {
  const end = text.indexOf("\r\n\r\n");
  if (end < 0) return undefined;
  const [first = "", ...lines] = text.slice(0, end).split("\r\n");
  const [method = "", path = ""] = first.split(" ");
  const headers = lines.map((line): [string, string] => {
    const colon = line.indexOf(":");
    return [line.slice(0, colon).toLowerCase(), line.slice(colon + 1).trim()];
  });
  const get = (name: string) => headers.find(([key]) => key === name)?.[1];
  let at = end + 4;
  let body = "";
  if (get("transfer-encoding") === "chunked") {
    for (;;) {
      const lineEnd = text.indexOf("\r\n", at);
      if (lineEnd < 0) return undefined;
      const size = Number.parseInt(text.slice(at, lineEnd), 16);
      if (text.length < lineEnd + 2 + size + 2) return undefined;
      body += text.slice(lineEnd + 2, lineEnd + 2 + size);
      at = lineEnd + 2 + size + 2;
      if (size === 0) break;
    }
  } else {
    const length = Number(get("content-length") ?? 0);
    if (text.length < at + length) return undefined;
    body = text.slice(at, at + length);
    at += length;
  }
  return { request: { upstream, method, path, headers, body }, length: at };
}
