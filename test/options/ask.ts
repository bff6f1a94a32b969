// Requests of the cases: over HTTP/1.1 with Node's client, and byte by byte.
import { request } from "node:http";
import { connect } from "node:net";
import type { Received } from "./echo.ts";
import type { Answer, Asked } from "./option-case.ts";

/** With a connection of its own. */
export function ask(port: number, host: string, path: string, asked: Asked = {}): Promise<Answer> {
  return new Promise((resolve, reject) => {
    const { method = "GET", headers = {}, body } = asked;
    const all = { host: asked.host ?? host, ...headers } as Record<string, string>;
    const call = request({ host: "127.0.0.1", port, path, method, headers: all, agent: false }, (response) => {
      const chunks: Buffer[] = [];
      response.on("data", (chunk: Buffer) => chunks.push(chunk));
      const finish = () => resolve(answerOf(response.statusCode ?? 0, response.headers, response.rawHeaders, Buffer.concat(chunks)));
      response.on("end", finish).on("error", finish);
    });
    call.on("upgrade", (response, socket) => {
      socket.destroy();
      resolve(answerOf(response.statusCode ?? 0, response.headers, response.rawHeaders, Buffer.alloc(0)));
    });
    call.on("error", reject).end(body);
  });
}

export function raw(port: number, text: string, until?: RegExp): Promise<string> {
  return new Promise((resolve, reject) => {
    const socket = connect(port, "127.0.0.1");
    let got = "";
    const finish = () => {
      socket.destroy();
      resolve(got);
    };
    socket.setTimeout(60_000, () => reject(new Error(`the connection stays open, after: ${got}`)));
    socket.on("connect", () => socket.write(text, "latin1"));
    socket.on("data", (chunk) => {
      got += chunk.toString("latin1");
      if (until?.test(got)) finish();
    });
    socket
      .on("close", finish)
      .on("error", (error) => (got === "" && !("code" in error && error.code === "ECONNRESET") ? reject(error) : finish()));
  });
}

function answerOf(status: number, headers: Answer["headers"], rawHeaders: readonly string[], bytes: Buffer): Answer {
  const body = bytes.toString("utf8");
  return {
    status,
    headers,
    rawHeaders,
    bytes,
    body,
    get received(): Received {
      try {
        return JSON.parse(body) as Received;
      } catch {
        throw new Error(`the answer ${status} is not that of the echo: ${body.slice(0, 200)}`);
      }
    },
  };
}
