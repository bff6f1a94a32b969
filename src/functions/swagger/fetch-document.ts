// One document over HTTP from a peer that may be hostile: one address, a few redirects on it, so many bytes, so much time.
import type { IncomingMessage } from "node:http";
import { isIP } from "node:net";
import { http, https } from "../../lib/node-web.ts";
import type { FunctionTarget } from "../../plugin/function-kind.ts";

export interface DocumentLimits {
  /** After inflating. */
  readonly maxBytes: number;
  readonly timeoutMs: number;
  readonly maxRedirects: number;
}

export const documentLimits: DocumentLimits = { maxBytes: 2 * 1024 * 1024, timeoutMs: 5_000, maxRedirects: 3 };

export type DocumentAnswer =
  | { readonly kind: "document"; readonly text: string; readonly etag?: string; readonly path: string }
  | { readonly kind: "unchanged" }
  /** Somebody answered, with no document. */
  | { readonly kind: "none"; readonly status: number };

/** Throws when nobody answers, and when the answer breaks a limit. */
export async function fetchDocument(
  target: FunctionTarget,
  path: string,
  etag: string | undefined,
  signal: AbortSignal,
  limits: DocumentLimits = documentLimits,
): Promise<DocumentAnswer> {
  const deadline = AbortSignal.any([signal, AbortSignal.timeout(limits.timeoutMs)]);
  const origin = `${target.tls ? "https" : "http"}://${target.authority}`;
  let url = new URL(path, origin);
  for (let redirects = 0; ; redirects++) {
    const response = await get(target, url, etag, deadline);
    const { statusCode: status = 0, headers } = response;
    if (status >= 300 && status < 400 && headers.location !== undefined) {
      response.destroy();
      const next = URL.canParse(headers.location, url.href) ? new URL(headers.location, url) : undefined;
      // Not even to another port of the same machine: what listens there was not meant.
      if (next?.origin !== new URL(origin).origin || redirects >= limits.maxRedirects) return { kind: "none", status };
      url = next;
      continue;
    }
    if (status === 304 && etag !== undefined) {
      response.destroy();
      return { kind: "unchanged" };
    }
    if (status !== 200) {
      response.destroy();
      return { kind: "none", status };
    }
    const text = await bodyOf(response, limits, deadline);
    const { etag: next } = headers;
    return { kind: "document", text, path: url.pathname + url.search, ...(next !== undefined && next.length <= 256 && { etag: next }) };
  }
}

function get(target: FunctionTarget, url: URL, etag: string | undefined, signal: AbortSignal): Promise<IncomingMessage> {
  const { address, port, tls, authority } = target;
  const sni = tls?.sni ?? authority.replace(/:\d+$/, "");
  return new Promise((resolve, reject) => {
    const options = {
      ...(port === undefined ? { socketPath: address } : { host: address, port }),
      method: "GET",
      path: url.pathname + url.search,
      agent: false as const,
      signal,
      headers: {
        host: authority,
        accept: "application/json, application/yaml;q=0.9, */*;q=0.1",
        "accept-encoding": "gzip",
        // Gloo's, so that services can tell.
        "x-gloo-discovery": "Swagger-Discovery",
        "user-agent": "headworks-discovery",
        connection: "close",
        ...(etag !== undefined && { "if-none-match": etag }),
      },
      ...(tls && {
        ...(tls.ca !== undefined && { ca: tls.ca }),
        ...(tls.cert !== undefined && { cert: tls.cert, key: tls.key }),
        ...(isIP(sni) === 0 && { servername: sni }),
        // As the proxies: no CA, no verification.
        rejectUnauthorized: tls.ca !== undefined,
      }),
    };
    (tls ? https() : http()).request(options, resolve).on("error", reject).end();
  });
}

async function bodyOf(response: IncomingMessage, { maxBytes }: DocumentLimits, signal: AbortSignal): Promise<string> {
  const encoding = response.headers["content-encoding"]?.trim().toLowerCase() ?? "identity";
  if (encoding !== "gzip" && encoding !== "identity" && encoding !== "") {
    response.destroy();
    throw new Error(`the document is encoded as ${JSON.stringify(encoding.slice(0, 80))}; only gzip was asked for`);
  }
  const stream = encoding === "gzip" ? response.pipe(process.getBuiltinModule("node:zlib").createGunzip()) : response;
  response.on("error", (error) => stream.destroy(error));
  const end = () => stream.destroy(new Error("the document did not arrive in time"));
  signal.addEventListener("abort", end, { once: true });
  const chunks: Buffer[] = [];
  let size = 0;
  try {
    for await (const chunk of stream as AsyncIterable<Buffer>) {
      size += chunk.length;
      if (size > maxBytes) throw new Error(`the document has more than ${maxBytes} bytes`);
      chunks.push(chunk);
    }
  } finally {
    signal.removeEventListener("abort", end);
    stream.destroy();
    response.destroy();
  }
  return Buffer.concat(chunks).toString("utf8");
}
