// Consul's HTTP API, as much of it as discovery needs: GET, with a deadline, a limit of size, and the index of the answer. Who asks
// what and when is watch.ts's business.
import type { Agent, ClientRequest, IncomingMessage } from "node:http";
import { http, https } from "../../lib/node-web.ts";
import type { Connection } from "./connection.ts";
import { ConsulError } from "./consulError.ts";

/** An agent refuses more than 200 connections of one client (`limits.http_max_conns_per_client`); others on this machine want some too. */
export const maxConnections = 150;

/** 20,000 instances in one answer are about 25 MB. */
const maxBytes = 64 * 1024 * 1024;

export type Query = Readonly<Record<string, string | undefined>>;

export interface Answer {
  readonly json: unknown;
  /** `X-Consul-Index`; 0 where there is none, or none that makes sense. */
  readonly index: bigint;
  /** Consul has left out what our token may not see. */
  readonly isFiltered: boolean;
}

export class ConsulClient implements Disposable {
  readonly #connection: Connection;
  readonly #agent: Agent;

  constructor(connection: Connection) {
    this.#connection = connection;
    const options = { keepAlive: true, maxSockets: maxConnections, maxFreeSockets: 16, scheduling: "lifo" } as const;
    this.#agent =
      connection.base.protocol === "https:" ? new (https().Agent)({ ...options, ...tlsOptions(connection) }) : new (http().Agent)(options);
  }

  /** For messages: `http://127.0.0.1:8500`. */
  get address(): string {
    return this.#connection.socketPath ?? this.#connection.base.origin;
  }

  /** Throws a {@link ConsulError}; or the reason of the signal. No redirect is followed: the token belongs to this address. */
  async get(path: string, query: Query, options: { readonly signal: AbortSignal; readonly deadlineMs: number }): Promise<Answer> {
    options.signal.throwIfAborted();
    const { base, socketPath, headers, datacenter } = this.#connection;
    const url = new URL(path, base);
    for (const [name, value] of Object.entries({ ...(datacenter && { dc: datacenter }), ...query }))
      if (value !== undefined) url.searchParams.set(name, value);
    const send = base.protocol === "https:" ? https().request : http().request;
    const request = send(url, {
      agent: this.#agent,
      headers: { ...headers, accept: "application/json" },
      ...(socketPath && { socketPath }),
    });
    // Not `signal` and `timeout` of node:http: a signal that lives long would gather a listener for each request, and that timeout
    // counts silence, which a peer that sends one byte a second never keeps.
    const abort = () => request.destroy(options.signal.reason as Error);
    const deadline = setTimeout(
      () => request.destroy(new ConsulError("unreachable", `did not answer within ${Math.round(options.deadlineMs / 1000)} s`)),
      options.deadlineMs,
    );
    options.signal.addEventListener("abort", abort, { once: true });
    try {
      const response = await responseOf(request);
      return answerOf(response, await bodyOf(response));
    } catch (error) {
      request.destroy();
      options.signal.throwIfAborted();
      if (error instanceof ConsulError) throw error;
      throw new ConsulError("unreachable", (error as Error).message || String((error as NodeJS.ErrnoException).code), { cause: error });
    } finally {
      clearTimeout(deadline);
      options.signal.removeEventListener("abort", abort);
    }
  }

  [Symbol.dispose](): void {
    this.#agent.destroy();
  }
}

function tlsOptions({ tls }: Connection): object {
  return { ...tls, ...(tls?.ca && { ca: [...tls.ca] }) };
}

function responseOf(request: ClientRequest): Promise<IncomingMessage> {
  return new Promise((resolve, reject) => {
    request.once("response", resolve);
    request.on("error", reject);
    request.end();
  });
}

async function bodyOf(response: IncomingMessage): Promise<string> {
  const chunks: Buffer[] = [];
  let size = 0;
  for await (const chunk of response as AsyncIterable<Buffer>) {
    size += chunk.length;
    if (size > maxBytes) throw new ConsulError("unusable", `answered with more than ${maxBytes / 1024 / 1024} MB`);
    chunks.push(chunk);
  }
  return Buffer.concat(chunks).toString("utf8");
}

function answerOf({ statusCode = 0, headers }: IncomingMessage, body: string): Answer {
  if (statusCode === 403 || statusCode === 401) throw new ConsulError("denied", `refused our token: ${firstLine(body)}`);
  // 500 "No cluster leader", 500 "No path to datacenter", 429 of its own limits: it will be better later.
  if (statusCode === 429 || statusCode >= 500) throw new ConsulError("unreachable", `answered ${statusCode}: ${firstLine(body)}`);
  if (statusCode !== 200) throw new ConsulError("unusable", `answered ${statusCode}: ${firstLine(body)}`);
  return {
    json: jsonOf(body),
    index: indexOf(headers["x-consul-index"]),
    isFiltered: headers["x-consul-results-filtered-by-acls"] === "true",
  };
}

function jsonOf(body: string): unknown {
  try {
    return JSON.parse(body);
  } catch (cause) {
    throw new ConsulError("unusable", `answered with no JSON: ${firstLine(body)}`, { cause });
  }
}

function indexOf(header: string | string[] | undefined): bigint {
  return typeof header === "string" && /^\d{1,20}$/.test(header) ? BigInt(header) : 0n;
}

function firstLine(text: string): string {
  const line = text.trim().split("\n", 1)[0] ?? "";
  return line.length > 200 ? `${line.slice(0, 200)}…` : line;
}
