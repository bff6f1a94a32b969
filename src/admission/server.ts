// The webhook's HTTPS server. Asked by the API server; reachable, as a rule, by every Pod: it reads nothing but what is in the request,
// and keeps nothing of it.
import type { IncomingMessage, ServerResponse } from "node:http";
import { createServer } from "node:https";
import type { AddressInfo } from "node:net";
import type { ListenAddress } from "../lib/listen-address.ts";
import type { Logger } from "../plugin/upstream-type.ts";
import { type Judging, judge } from "./judge.ts";
import { answer, parseReview } from "./review.ts";

export interface WebhookServer extends AsyncDisposable {
  readonly port: number;
  /** For new connections, from now on. */
  setCertificate(certificate: ServerCertificate): void;
}

/** PEM. */
export interface ServerCertificate {
  readonly cert: string;
  readonly key: string;
}

export interface WebhookOptions {
  readonly address: Extract<ListenAddress, { kind: "tcp" }>;
  readonly certificate: ServerCertificate;
  readonly judging: () => Judging;
  readonly log: Logger;
}

/** The API server sends objects twice at most (old and new), and no object may be larger than this. */
const mostBytes = 3 * 1024 * 1024 + 64 * 1024;
const mostConnections = 256;

/** Rejects with the error of `listen`. */
export async function startWebhook({ address, certificate, judging, log }: WebhookOptions): Promise<WebhookServer> {
  const server = createServer(
    { ...certificate, minVersion: "TLSv1.2", requestTimeout: 10_000, headersTimeout: 5_000 },
    (request, response) => {
      handle(request, response, judging, log).catch((error: unknown) => {
        log.error({ error: String((error as Error)?.stack ?? error) }, "the webhook met a fault of ours");
        // The API server goes by failurePolicy.
        if (!response.headersSent) reply(response, 500, "a fault of ours; see the log of headworks");
      });
    },
  );
  server.maxConnections = mostConnections;
  await new Promise<void>((resolve, reject) => {
    server.once("error", reject);
    server.listen({ host: address.host, port: address.port }, resolve);
  });
  return {
    port: (server.address() as AddressInfo).port,
    setCertificate: (next) => server.setSecureContext({ ...next }),
    async [Symbol.asyncDispose]() {
      const closed = new Promise<void>((resolve) => server.close(() => resolve()));
      server.closeAllConnections();
      await closed;
    },
  };
}

async function handle(request: IncomingMessage, response: ServerResponse, judging: () => Judging, log: Logger): Promise<void> {
  const [path] = (request.url ?? "").split("?");
  if (path !== "/validation") return reply(response, 404, "the webhook is at /validation");
  if (request.method !== "POST") return reply(response, 405, "POST an AdmissionReview", { allow: "POST" });
  if (!/^application\/json\b/.test(request.headers["content-type"] ?? ""))
    return reply(response, 415, "an AdmissionReview is application/json");
  const text = await bodyOf(request);
  if (text === undefined) return reply(response, 413, `an AdmissionReview has at most ${mostBytes} bytes`, { connection: "close" });
  let review: ReturnType<typeof parseReview>;
  try {
    review = parseReview(text);
  } catch (error) {
    return reply(response, 400, (error as Error).message);
  }
  const verdict = judge(review, judging());
  if (!verdict.allowed) {
    const { name, namespace } = (review.object ?? review.oldObject)?.metadata ?? {};
    log.info({ name, namespace, operation: review.operation, message: verdict.message }, "a change was not let in");
  }
  response.writeHead(200, { "content-type": "application/json" }).end(answer(review.uid, verdict));
}

/** Undefined when it is too long. */
async function bodyOf(request: IncomingMessage): Promise<string | undefined> {
  const chunks: Buffer[] = [];
  let length = 0;
  for await (const chunk of request as AsyncIterable<Buffer>) {
    length += chunk.length;
    if (length > mostBytes) return undefined;
    chunks.push(chunk);
  }
  return Buffer.concat(chunks).toString("utf8");
}

function reply(response: ServerResponse, status: number, message: string, headers: Record<string, string> = {}): void {
  response.writeHead(status, { "content-type": "text/plain; charset=utf-8", ...headers }).end(`${message}\n`);
}
