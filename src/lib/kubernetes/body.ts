// Reading the bodies of answers: whole, or line by line as a watch sends them. Whatever cuts them off becomes a KubeError.
import { errorOfAnswer, KubeError } from "./error.ts";
import type { TransportAnswer } from "./transport.ts";

/** 500 objects of etcd's limit of 1.5 MB would be more; nothing that is asked for comes near. */
const maxBytes = 256 * 1024 * 1024;

/** A body that says nothing for so long is given up. A slow one is read to its end. */
const silenceMs = 30_000;

export async function textOf({ body }: TransportAnswer, words: string, signal: AbortSignal): Promise<string> {
  const chunks: Buffer[] = [];
  for await (const chunk of chunksOf(body, words, signal, silenceMs)) chunks.push(chunk);
  return Buffer.concat(chunks).toString("utf8");
}

export async function errorOf(answer: TransportAnswer, words: string, signal: AbortSignal): Promise<KubeError> {
  const retryAfter = answer.headers["retry-after"];
  const body = await textOf(answer, words, signal).catch((error: unknown) => {
    if (signal.aborted) throw error;
    return "";
  });
  return errorOfAnswer(answer.status, body, words, retryAfter);
}

export async function* jsonLines(
  answer: TransportAnswer,
  words: string,
  signal: AbortSignal,
  silence: number | undefined,
): AsyncGenerator<string> {
  let rest: Buffer[] = [];
  for await (const chunk of chunksOf(answer.body, words, signal, silence)) {
    let from = 0;
    for (let end = chunk.indexOf(0x0a); end !== -1; end = chunk.indexOf(0x0a, from)) {
      const line = Buffer.concat([...rest, chunk.subarray(from, end)]).toString("utf8");
      rest = [];
      from = end + 1;
      if (line !== "") yield line;
    }
    if (from < chunk.length) rest.push(chunk.subarray(from));
  }
}

/** Chunks until the body ends; destroys it when its reader leaves, on abort, and after silence. */
async function* chunksOf(
  body: TransportAnswer["body"],
  words: string,
  signal: AbortSignal,
  silence: number | undefined,
): AsyncGenerator<Buffer> {
  const destroy = (error: Error) => body.destroy(error);
  const abort = () => destroy(signal.reason as Error);
  if (signal.aborted) abort();
  signal.addEventListener("abort", abort, { once: true });
  const late =
    silence === undefined ? undefined : setTimeout(() => destroy(new Error(`nothing came for ${Math.round(silence / 1000)} s`)), silence);
  let size = 0;
  try {
    for await (const chunk of body as AsyncIterable<Buffer>) {
      late?.refresh();
      size = silence === undefined ? chunk.length : size + chunk.length;
      if (size > maxBytes) throw new KubeError("invalid", `answered with more than ${maxBytes >> 20} MB`, { request: words });
      yield chunk;
    }
    if (isCutOff(body)) throw new KubeError("unreachable", "the connection was closed in the middle of the answer", { request: words });
  } catch (error) {
    signal.throwIfAborted();
    if (error instanceof KubeError) throw error;
    throw new KubeError("unreachable", (error as Error).message || "the answer was cut off", { request: words, cause: error });
  } finally {
    clearTimeout(late);
    signal.removeEventListener("abort", abort);
    body.on("error", () => undefined);
    body.destroy();
  }
}

/** Node.js ends a stream of HTTP/2 without an error when its connection is closed. */
function isCutOff(body: TransportAnswer["body"]): boolean {
  const { aborted, rstCode, complete } = body as { readonly aborted?: boolean; readonly rstCode?: number; readonly complete?: boolean };
  return aborted === true || (rstCode ?? 0) !== 0 || complete === false;
}
