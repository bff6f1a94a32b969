// Upstreams and clients of HTTP/2 for tests: node:http2, with nothing between it and the test.

import {
  type ClientHttp2Session,
  connect,
  createSecureServer,
  createServer,
  type Http2Server,
  type ServerHttp2Session,
  type ServerHttp2Stream,
  type ServerOptions,
} from "node:http2";
import type { Socket } from "node:net";
import type { KeyPair } from "./certificates.ts";
import type { EchoRequest } from "./raw.ts";

export interface Http2Request extends EchoRequest {
  readonly trailers: readonly (readonly [string, string])[];
}

export interface Http2TestUpstream extends AsyncDisposable {
  readonly port: number;
  readonly name: string;
  /** Heads of the requests so far; with their bodies where the answer waited for them. */
  readonly requests: Http2Request[];
  readonly sessions: Set<ServerHttp2Session>;
  accepted: number;
  /** At the head of each request; by default the whole request is echoed as JSON. */
  onStream: (stream: ServerHttp2Stream, head: readonly string[], request: () => Promise<Http2Request>) => void;
}

export interface Http2TestUpstreamOptions extends ServerOptions {
  readonly tls?: KeyPair;
  readonly port?: number;
}

export async function http2Upstream(name: string, options: Http2TestUpstreamOptions = {}): Promise<Http2TestUpstream> {
  const { tls, port = 0, ...rest } = options;
  const server = (
    tls === undefined ? createServer(rest) : createSecureServer({ ...rest, cert: tls.certificate, key: tls.key })
  ) as Http2Server;
  const sessions = new Set<ServerHttp2Session>();
  const sockets = new Set<Socket>();
  server.on("connection", (socket) => {
    sockets.add(socket);
    socket.on("close", () => sockets.delete(socket));
  });
  server.on("session", (session) => {
    upstream.accepted++;
    sessions.add(session);
    session.on("close", () => sessions.delete(session));
    session.on("error", () => undefined);
  });
  server.on("sessionError", () => undefined);
  server.on("stream", (stream, _headers, _flags, list?: string[]) => {
    stream.on("error", () => undefined);
    const head = list ?? [];
    upstream.onStream(stream, head, () => readRequest(name, stream, head, upstream.requests));
  });
  await new Promise<void>((resolve) => server.listen(port, "127.0.0.1", resolve));
  const upstream: Http2TestUpstream = {
    port: (server.address() as { port: number }).port,
    name,
    requests: [],
    sessions,
    accepted: 0,
    onStream: (stream, _, request) => {
      void request().then((read) => {
        if (!stream.destroyed) echoTo(stream, read);
      });
    },
    async [Symbol.asyncDispose]() {
      for (const session of sessions) session.destroy();
      for (const socket of sockets) socket.destroy();
      await new Promise((resolve) => server.close(resolve));
    },
  };
  return upstream;
}

/** What an upstream got, as its answer. */
export function echoTo(stream: ServerHttp2Stream, request: Http2Request): void {
  const body = JSON.stringify(request);
  stream.respond([":status", "200", "content-type", "application/json", "content-length", String(Buffer.byteLength(body))] as never);
  stream.end(body);
}

function readRequest(
  upstream: string,
  stream: ServerHttp2Stream,
  head: readonly string[],
  requests: Http2Request[],
): Promise<Http2Request> {
  const all = pairsOf(head);
  const pseudo = (name: string) => all.find(([key]) => key === name)?.[1] ?? "";
  const parts: Buffer[] = [];
  let trailers: [string, string][] = [];
  stream.on("data", (part: Buffer) => parts.push(part));
  stream.on("trailers", (_: unknown, __: number, list: string[] = []) => {
    trailers = pairsOf(list);
  });
  return new Promise((resolve) => {
    const done = () => {
      // As an upstream of HTTP/1.1 would have seen it, so that answers can be compared.
      const headers: [string, string][] = [
        ["host", pseudo(":authority")],
        ...all.filter(([name]) => name === ":scheme" || !name.startsWith(":")),
      ];
      const body = Buffer.concat(parts).toString("latin1");
      const request = { upstream, method: pseudo(":method"), path: pseudo(":path"), headers, body, trailers };
      requests.push(request);
      resolve(request);
    };
    if (stream.readableEnded) done();
    else stream.on("end", done);
  });
}

export function pairsOf(list: readonly string[]): [string, string][] {
  const pairs: [string, string][] = [];
  for (let i = 0; i < list.length; i += 2) pairs.push([list[i] as string, list[i + 1] as string]);
  return pairs;
}

export interface Http2Answer {
  /** "reset" when the stream was reset without a head. */
  readonly status: number | "reset";
  readonly headers: readonly (readonly [string, string])[];
  readonly body: string;
  readonly trailers: readonly (readonly [string, string])[];
  /** The error code that the stream ended with; 0 for none. */
  readonly code: number;
}

export interface Http2Ask {
  readonly headers?: readonly string[];
  readonly body?: string | Buffer;
  readonly trailers?: Record<string, string>;
}

export interface Http2TestClient extends AsyncDisposable {
  readonly session: ClientHttp2Session;
  /** `head`: names and values, pseudo headers in front; those that are missing are those of `GET https://a/`. */
  ask(head: readonly string[], body?: string | Buffer, trailers?: Record<string, string>): Promise<Http2Answer>;
}

export function http2Client(port: number, tls?: { readonly servername?: string }): Http2TestClient {
  const session = connect(`${tls === undefined ? "http" : "https"}://127.0.0.1:${port}`, {
    rejectUnauthorized: false,
    maxSendHeaderBlockLength: 1_048_576,
    ...(tls?.servername !== undefined && { servername: tls.servername }),
  });
  session.on("error", () => undefined);
  return {
    session,
    ask: (head, body, trailers) => askHttp2(session, head, body, trailers),
    async [Symbol.asyncDispose]() {
      session.destroy();
    },
  };
}

const defaults: readonly (readonly [string, string])[] = [
  [":method", "GET"],
  [":scheme", "http"],
  [":authority", "a"],
  [":path", "/"],
];

export function askHttp2(
  session: ClientHttp2Session,
  head: readonly string[],
  body?: string | Buffer,
  trailers?: Record<string, string>,
): Promise<Http2Answer> {
  return new Promise((resolve) => {
    const list = [...defaults.filter(([name]) => !head.includes(name)).flat(), ...head];
    const stream = session.request(list as never, { endStream: body === undefined, waitForTrailers: trailers !== undefined });
    let status: number | "reset" = "reset";
    let headers: [string, string][] = [];
    let answerTrailers: [string, string][] = [];
    const parts: Buffer[] = [];
    stream.on("response", (...[, , answer = []]: [unknown, number, string[]?]) => {
      headers = pairsOf(answer).filter(([name]) => name !== ":status");
      status = Number(pairsOf(answer).find(([name]) => name === ":status")?.[1]);
    });
    stream.on("data", (part: Buffer) => parts.push(part));
    stream.on("trailers", (...[, , list = []]: [unknown, number, string[]?]) => {
      answerTrailers = pairsOf(list);
    });
    stream.on("wantTrailers", () => stream.sendTrailers(trailers ?? {}));
    stream.on("error", () => undefined);
    stream.on("close", () =>
      resolve({ status, headers, body: Buffer.concat(parts).toString("latin1"), trailers: answerTrailers, code: stream.rstCode ?? 0 }),
    );
    if (body !== undefined) stream.end(body);
  });
}
