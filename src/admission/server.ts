// The webhook's HTTPS server. Asked by the API server; reachable, as a rule, by every Pod: it reads nothing but what is in the request,
// and keeps nothing of it.
import type { IncomingMessage, ServerResponse } from "node:http";
import { createServer } from "node:https";
import type { AddressInfo } from "node:net";
import type { ListenAddress } from "../lib/listen-address.ts";
import type { Logger } from "../plugin/upstream-type.ts";
import { type Judging, judge } from "./judge.ts";
import { type Admission, answer, parseReview, type Review } from "./review.ts";
import { Turns } from "./turns.ts";

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
/** Those that are being answered have so long when the server ends. */
const endWithinMs = 2_000;
/** Of all requests that are being read. */
const mostBytesAtOnce = 32 * 1024 * 1024;

/** Rejects with the error of `listen`. */
export async function startWebhook({ address, certificate, judging, log }: WebhookOptions): Promise<WebhookServer> {
  const desk: Desk = { judging, log, turns: new Turns(), bytes: 0 };
  const server = createServer(
    { ...certificate, minVersion: "TLSv1.2", requestTimeout: 10_000, headersTimeout: 5_000 },
    (request, response) => {
      handle(request, response, desk).catch((error: unknown) => {
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
      // Whoever has asked is answered; where failurePolicy is Fail, his change would be refused otherwise.
      const closed = new Promise<void>((resolve) => server.close(() => resolve()));
      const late = setTimeout(() => server.closeAllConnections(), endWithinMs);
      await closed;
      clearTimeout(late);
    },
  };
}

/** Where all requests come together. */
interface Desk {
  readonly judging: () => Judging;
  readonly log: Logger;
  readonly turns: Turns;
  /** Of requests that are held in memory now. */
  bytes: number;
}

async function handle(request: IncomingMessage, response: ServerResponse, desk: Desk): Promise<void> {
  const [path] = (request.url ?? "").split("?");
  if (path !== "/validation") return reply(response, 404, "the webhook is at /validation");
  if (request.method !== "POST") return reply(response, 405, "POST an AdmissionReview", { allow: "POST" });
  if (!/^application\/json\b/.test(request.headers["content-type"] ?? ""))
    return reply(response, 415, "an AdmissionReview is application/json");
  const held = { bytes: 0 };
  try {
    const body = await bodyOf(request, desk, held);
    if (body.kind === "read") await answerTo(body.text, response, desk);
    else if (body.kind === "long") reply(response, 413, `an AdmissionReview has at most ${mostBytes} bytes`);
    else if (body.kind === "busy") reply(response, 503, busy);
  } finally {
    desk.bytes -= held.bytes;
    // Read to its end, for requestTimeout at most: whose connection breaks while he writes does not read why he is refused.
    request.resume();
  }
}

const busy = "too many ask at the same time";

async function answerTo(text: string, response: ServerResponse, { judging, log, turns }: Desk): Promise<void> {
  const judged = await turns.take(
    () => judgedText(text, judging()),
    () => !response.destroyed,
  );
  if (judged === undefined) return reply(response, 503, busy);
  if ("rubbish" in judged) return reply(response, 400, judged.rubbish);
  const { review, admission } = judged;
  if (!admission.allowed) {
    const { name, namespace } = (review.object ?? review.oldObject)?.metadata ?? {};
    log.info({ name, namespace, operation: review.operation, message: admission.message }, "a change was not let in");
  }
  response.writeHead(200, { "content-type": "application/json" }).end(answer(review.uid, admission));
}

/** Reading three megabytes takes its time, too. */
function judgedText(
  text: string,
  judging: Judging,
): { readonly review: Review; readonly admission: Admission } | { readonly rubbish: string } {
  let review: Review;
  try {
    review = parseReview(text);
  } catch (error) {
    return { rubbish: (error as Error).message };
  }
  return { review, admission: judge(review, judging) };
}

type Body = { readonly kind: "read"; readonly text: string } | { readonly kind: "long" | "busy" | "cut off" };

async function bodyOf(request: IncomingMessage, desk: Desk, held: { bytes: number }): Promise<Body> {
  const chunks: Buffer[] = [];
  try {
    for await (const chunk of request.iterator({ destroyOnReturn: false }) as AsyncIterable<Buffer>) {
      held.bytes += chunk.length;
      desk.bytes += chunk.length;
      if (held.bytes > mostBytes) return { kind: "long" };
      if (desk.bytes > mostBytesAtOnce) return { kind: "busy" };
      chunks.push(chunk);
    }
  } catch {
    // Whoever asked has gone, which is no fault of ours.
    return { kind: "cut off" };
  }
  return { kind: "read", text: Buffer.concat(chunks).toString("utf8") };
}

function reply(response: ServerResponse, status: number, message: string, headers: Record<string, string> = {}): void {
  response.writeHead(status, { "content-type": "text/plain; charset=utf-8", ...headers }).end(`${message}\n`);
}
