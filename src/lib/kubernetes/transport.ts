// Requests to one API server: HTTP/2 on as few connections as its limit of streams allows, HTTP/1.1 where it (or a proxy) has no other.
//
// A server that hangs, or a network that drops packets, closes nothing: without an answer to a PING we would wait for ever. Over
// HTTP/1.1 there is no PING; there, a watch has to be short (see `isSilenceNoticed`).
import { type Agent, request as httpRequest, type IncomingMessage } from "node:http";
import http2, { type ClientHttp2Session, type ClientHttp2Stream, type IncomingHttpHeaders } from "node:http2";
import { Agent as HttpsAgent, request as httpsRequest } from "node:https";
import { connect as connectTcp, type Socket } from "node:net";
import type { Readable } from "node:stream";
import { connect as connectTls, type TLSSocket } from "node:tls";
import type { Connection, Credentials } from "./connection.ts";
import { KubeError } from "./error.ts";

export interface TransportOptions {
  /** After so much time a connection in use is asked whether it lives. */
  readonly pingEveryMs?: number;
  /** It has so long to answer. */
  readonly pingTimeoutMs?: number;
  readonly connectTimeoutMs?: number;
}

export interface TransportRequest {
  readonly method: string;
  readonly path: string;
  readonly headers: Readonly<Record<string, string>>;
  readonly body?: string;
  readonly signal: AbortSignal;
  /** The head of the answer has to be there by then; the server itself gives up after 60 s. */
  readonly headTimeoutMs: number;
  /** For errors. */
  readonly words: string;
}

export interface TransportAnswer {
  readonly status: number;
  readonly headers: IncomingHttpHeaders;
  /** Ends with a KubeError when it is cut off. Whoever has it reads it to its end or destroys it. */
  readonly body: Readable;
}

const defaults = { pingEveryMs: 30_000, pingTimeoutMs: 15_000, connectTimeoutMs: 15_000 };

/** Kept for the housekeeping of others on a connection: events, leases and status writes come on top of the watches. */
const spareStreams = 10;

export class Transport implements Disposable {
  readonly #connection: Connection;
  readonly #options: Required<TransportOptions>;
  readonly #sessions = new Set<Session>();
  /** Of HTTP/1.1, once it is known that there is no HTTP/2. */
  #agent: { readonly agent: Agent; readonly key: string } | undefined;
  #opening: Promise<Session | "http1"> | undefined;
  #protocol: "http1" | "http2" | undefined;
  readonly #closed = new AbortController();

  constructor(connection: Connection, options: TransportOptions = {}) {
    this.#connection = connection;
    this.#options = { ...defaults, ...options };
  }

  /** False: nobody will notice a peer that has fallen silent. */
  get isSilenceNoticed(): boolean {
    return this.#protocol === "http2";
  }

  /** Throws a {@link KubeError} `unreachable`, or the signal's reason. Any answer is an answer. */
  async send(request: TransportRequest): Promise<TransportAnswer> {
    request.signal.throwIfAborted();
    const first = await this.#attempt(request, false);
    if (first.status !== 401) return first;
    // A token that was rotated, or an exec plug-in's that has been revoked: once more with what there is now.
    first.body.resume();
    return this.#attempt(request, true);
  }

  async #attempt(request: TransportRequest, forget: boolean): Promise<TransportAnswer> {
    const credentials = await this.#credentials(request, forget);
    try {
      if (credentials.agent || this.#connection.server.protocol === "http:") return await this.#sendHttp1(request, credentials);
      const session = await this.#session(credentials, request.signal);
      return session === "http1" ? await this.#sendHttp1(request, credentials) : await session.send(request, credentials.headers);
    } catch (error) {
      throw this.#errorOf(error, request);
    }
  }

  async #credentials(request: TransportRequest, forget: boolean): Promise<Credentials> {
    try {
      return await unlessAborted(this.#connection.credentials(forget), request.signal);
    } catch (cause) {
      request.signal.throwIfAborted();
      throw new KubeError("unreachable", `there are no credentials: ${(cause as Error).message}`, { request: request.words, cause });
    }
  }

  #errorOf(error: unknown, { words, signal }: TransportRequest): unknown {
    if (signal.aborted) return signal.reason;
    if (error instanceof KubeError) return error;
    return new KubeError("unreachable", wordsOf(error), { request: words, cause: error });
  }

  /** One with room, or a new one. Those who ask at the same time share it. */
  async #session(credentials: Credentials, signal: AbortSignal): Promise<Session | "http1"> {
    const key = keyOf(credentials);
    for (;;) {
      signal.throwIfAborted();
      for (const session of this.#sessions) {
        // The authority or the client's certificate was rotated: new requests go to a new connection.
        if (session.key !== key) session.retire();
        else if (session.hasRoom) return session;
      }
      if (this.#protocol === "http1") return "http1";
      this.#opening ??= this.#open(credentials, key).finally(() => {
        this.#opening = undefined;
      });
      const opened = await unlessAborted(this.#opening, signal);
      if (opened === "http1") return opened;
    }
  }

  async #open(credentials: Credentials, key: string): Promise<Session | "http1"> {
    const socket = await connectSecurely(this.#connection.server, credentials, this.#options.connectTimeoutMs, this.#closed.signal);
    if (socket.alpnProtocol !== "h2") {
      socket.destroy();
      this.#protocol = "http1";
      return "http1";
    }
    this.#protocol = "http2";
    const session = new Session(this.#connection.server, socket, key, this.#options, () => this.#sessions.delete(session));
    await session.ready;
    this.#sessions.add(session);
    return session;
  }

  #sendHttp1(request: TransportRequest, credentials: Credentials): Promise<TransportAnswer> {
    const { server } = this.#connection;
    const isPlain = server.protocol === "http:";
    let agent = credentials.agent;
    if (!agent && !isPlain) {
      const key = keyOf(credentials);
      if (this.#agent?.key !== key) {
        this.#agent?.agent.destroy();
        this.#agent = { agent: new HttpsAgent({ keepAlive: true, ...credentials.tls }), key };
      }
      agent = this.#agent.agent;
    }
    const send = isPlain ? httpRequest : httpsRequest;
    const sent = send(new URL(prefixed(server, request.path), server), {
      method: request.method,
      // Node.js adds the length itself, but not of a DELETE, which then ends before its body.
      headers: {
        ...credentials.headers,
        ...request.headers,
        ...(request.body !== undefined && { "content-length": Buffer.byteLength(request.body) }),
      },
      ...(agent && { agent }),
    });
    return new Promise((resolve, reject) => {
      const end = bounded(request, (error) => sent.destroy(error));
      sent.once("response", (response: IncomingMessage) => {
        end.headCame();
        response.once("close", end.over);
        resolve({ status: response.statusCode ?? 0, headers: response.headers, body: response });
      });
      sent.once("error", (error) => {
        end.over();
        reject(error);
      });
      sent.end(request.body);
    });
  }

  [Symbol.dispose](): void {
    this.#closed.abort(new Error("closed"));
    for (const session of this.#sessions) session.destroy(new Error("closed"));
    this.#agent?.agent.destroy();
  }
}

/** One connection with HTTP/2. */
class Session {
  readonly key: string;
  readonly ready: Promise<void>;
  readonly #session: ClientHttp2Session;
  readonly #server: URL;
  readonly #options: Required<TransportOptions>;
  #streams = 0;
  #isRetired = false;
  /** Why it was destroyed, which its streams are not told by Node.js. */
  #reason: Error | undefined;
  #ping: NodeJS.Timeout | undefined;

  constructor(server: URL, socket: Socket, key: string, options: Required<TransportOptions>, onClose: () => void) {
    this.#server = server;
    this.key = key;
    this.#options = options;
    // Lists are megabytes, and a window of 64 KiB is a round trip for each.
    this.#session = http2.connect(server.origin, {
      createConnection: () => socket,
      settings: { initialWindowSize: 1 << 20, enablePush: false },
    });
    this.ready = new Promise((resolve, reject) => {
      const deadline = setTimeout(() => this.destroy(new Error("no HTTP/2 settings came")), options.connectTimeoutMs);
      this.#session.once("remoteSettings", () => {
        clearTimeout(deadline);
        this.#session.setLocalWindowSize(8 << 20);
        resolve();
      });
      this.#session.once("close", () => {
        clearTimeout(deadline);
        reject(this.#reason ?? new Error("the connection was closed"));
      });
    });
    this.ready.catch(() => undefined);
    this.#session.on("error", (error) => {
      this.#reason ??= error;
    });
    this.#session.on("goaway", () => this.retire());
    this.#session.once("close", () => {
      this.#isRetired = true;
      clearTimeout(this.#ping);
      onClose();
    });
    this.#watchOverPeer();
  }

  get hasRoom(): boolean {
    const limit = this.#session.remoteSettings.maxConcurrentStreams ?? 100;
    return !this.#isRetired && !this.#session.closed && !this.#session.destroyed && this.#streams < Math.max(1, limit - spareStreams);
  }

  /** No new requests; closed when those under way are over. */
  retire(): void {
    if (this.#isRetired) return;
    this.#isRetired = true;
    this.#session.close();
  }

  destroy(reason: Error): void {
    this.#reason ??= reason;
    this.#session.destroy(reason);
  }

  send(request: TransportRequest, credentials: Readonly<Record<string, string>>): Promise<TransportAnswer> {
    const headers = {
      ":method": request.method,
      ":path": prefixed(this.#server, request.path),
      ...credentials,
      ...request.headers,
      ...(request.body !== undefined && { "content-length": String(Buffer.byteLength(request.body)) }),
    };
    const stream: ClientHttp2Stream = this.#session.request(headers, { endStream: request.body === undefined });
    this.#streams++;
    return new Promise((resolve, reject) => {
      const end = bounded(request, (error) => stream.destroy(error));
      let failure: Error | undefined;
      stream.once("response", (answered) => {
        end.headCame();
        resolve({ status: Number(answered[":status"] ?? 0), headers: answered, body: stream });
      });
      stream.on("error", (error) => {
        failure = error;
      });
      stream.once("close", () => {
        this.#streams--;
        end.over();
        // Settled long ago when the head has come; then whoever reads the body sees it end.
        reject(this.#reason ?? failure ?? new Error("the connection was closed before an answer came"));
      });
      if (request.body !== undefined) stream.end(request.body);
    });
  }

  /** An idle connection is watched over, too: the next request shall not find it dead. */
  #watchOverPeer(): void {
    this.#ping = setTimeout(() => {
      const { pingEveryMs, pingTimeoutMs } = this.#options;
      let isAnswered = false;
      const late = () => {
        if (isAnswered) return;
        this.destroy(new Error(`the server has not answered for ${Math.round((pingEveryMs + pingTimeoutMs) / 1000)} s`));
      };
      // After a stall of our own, timers come before what was received meanwhile: the answer may be there and not read yet.
      const deadline = setTimeout(() => setImmediate(late), pingTimeoutMs).unref();
      const isSent =
        !this.#session.destroyed &&
        this.#session.ping(() => {
          isAnswered = true;
          clearTimeout(deadline);
          if (!this.#session.destroyed) this.#watchOverPeer();
        });
      if (!isSent) clearTimeout(deadline);
    }, this.#options.pingEveryMs).unref();
  }

  /** Why the streams of this connection ended, where it is known. */
  get reason(): Error | undefined {
    return this.#reason;
  }
}

/** What is shared goes on without who has left. */
async function unlessAborted<T>(promise: Promise<T>, signal: AbortSignal): Promise<T> {
  const { promise: left, reject } = Promise.withResolvers<never>();
  const abort = () => reject(signal.reason);
  signal.addEventListener("abort", abort, { once: true });
  promise.catch(() => undefined);
  try {
    return await Promise.race([promise, left]);
  } finally {
    signal.removeEventListener("abort", abort);
  }
}

/** Ends a request on abort, or when its head is late. Listeners and timers go with the request: signals live long. */
function bounded({ signal, headTimeoutMs }: TransportRequest, destroy: (error: Error) => void) {
  const abort = () => destroy(signal.reason instanceof Error ? signal.reason : new Error("aborted"));
  const late = setTimeout(() => destroy(new Error(`no answer within ${Math.round(headTimeoutMs / 1000)} s`)), headTimeoutMs);
  signal.addEventListener("abort", abort, { once: true });
  return {
    headCame: () => clearTimeout(late),
    over: () => {
      clearTimeout(late);
      signal.removeEventListener("abort", abort);
    },
  };
}

function connectSecurely(server: URL, { tls }: Credentials, timeoutMs: number, signal: AbortSignal): Promise<TLSSocket> {
  const host = server.hostname.replace(/^\[|\]$/g, "");
  const port = Number(server.port || 443);
  return new Promise((resolve, reject) => {
    const tcp = connectTcp({ host, port, noDelay: true, keepAlive: true, keepAliveInitialDelay: 30_000 });
    // SNI must be a name; the certificate is checked against an address all the same.
    const { servername: name = host, ...others } = tls;
    const isName = !/^[\d.]+$|:/.test(name);
    const socket = connectTls({
      socket: tcp,
      host: name,
      ...(isName && { servername: name }),
      ...others,
      ALPNProtocols: ["h2", "http/1.1"],
    });
    const close = () => fail(signal.reason as Error);
    const over = () => {
      clearTimeout(deadline);
      signal.removeEventListener("abort", close);
    };
    const fail = (error: Error) => {
      over();
      tcp.destroy();
      socket.destroy();
      reject(error);
    };
    const deadline = setTimeout(() => fail(new Error(`no connection within ${Math.round(timeoutMs / 1000)} s`)), timeoutMs);
    // Also later: an error that nobody listens to would end the process.
    tcp.on("error", fail);
    socket.on("error", fail);
    signal.addEventListener("abort", close, { once: true });
    if (signal.aborted) close();
    socket.once("secureConnect", () => {
      over();
      resolve(socket);
    });
  });
}

/** What a connection is good for: another authority or certificate needs another connection. */
function keyOf({ tls }: Credentials): string {
  return JSON.stringify(
    [tls.ca, tls.cert, tls.key, tls.servername, tls.rejectUnauthorized].map((each) => (each === undefined ? "" : String(each))),
  );
}

/** A server may be below a path: `https://rancher.example.com/k8s/clusters/c-1`. */
function prefixed(server: URL, path: string): string {
  return `${server.pathname.replace(/\/$/, "")}${path}`;
}

function wordsOf(error: unknown): string {
  const { code, message, errors } = error as NodeJS.ErrnoException & { readonly errors?: readonly Error[] };
  return message || errors?.map((each) => each.message).join(", ") || code || String(error);
}
