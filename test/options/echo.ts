// The backend of the cases: answers with what it received, and behaves as its path asks.
//
//   /status/503   /delay/200 (ms)   /flaky/2 (503 twice for a case, then 200)   /size/2000   /headers?x-a=b   /trickle/300   /say?text=any
import { createServer, type IncomingMessage, type Server, type ServerResponse } from "node:http";
import { createServer as createSecureServer } from "node:https";
import type { AddressInfo } from "node:net";
import type { Duplex } from "node:stream";
import { setTimeout as delay } from "node:timers/promises";

export interface Received {
  readonly server: string;
  readonly method: string;
  readonly url: string;
  readonly headers: Readonly<Record<string, string>>;
  readonly rawHeaders: readonly string[];
  readonly trailers: Readonly<Record<string, string>>;
  readonly body: string;
}

export interface Echo extends AsyncDisposable {
  readonly port: number;
  /** All requests so far. */
  readonly received: readonly Received[];
}

/** @param tls then it speaks HTTPS */
export async function startEcho(name: string, tls?: { readonly key: string; readonly cert: string }): Promise<Echo> {
  const received: Received[] = [];
  /** Node gives them away, and does not close them. */
  const upgraded = new Set<Duplex>();
  const failures = new Map<string, number>();
  const onRequest = (request: IncomingMessage, response: ServerResponse) => {
    answer(request, response).catch(() => response.destroy());
  };
  const options = { requireHostHeader: false, ...tls };
  const server: Server = tls ? createSecureServer(options, onRequest) : createServer(options, onRequest);
  server.on("upgrade", (request: IncomingMessage, socket) => {
    upgraded.add(socket);
    socket.write("HTTP/1.1 101 Switching Protocols\r\nconnection: upgrade\r\nupgrade: websocket\r\n\r\n");
    socket.on("data", (chunk) => socket.write(`${request.headers.upgrade}:${chunk}`)).on("error", () => socket.destroy());
  });
  server.on("connect", (request: IncomingMessage, socket) => {
    received.push(receivedOf(name, request, ""));
    upgraded.add(socket);
    socket.write("HTTP/1.1 200 OK\r\n\r\n");
    socket.on("data", (chunk: Buffer) => socket.write(`connected:${chunk}`)).on("error", () => socket.destroy());
  });
  server.keepAliveTimeout = 60_000;

  async function answer(request: IncomingMessage, response: ServerResponse): Promise<void> {
    const chunks: Buffer[] = [];
    for await (const chunk of request) chunks.push(chunk as Buffer);
    const got = receivedOf(name, request, Buffer.concat(chunks).toString("latin1"));
    received.push(got);
    const { pathname, searchParams } = new URL(got.url, "http://echo");
    const [, what = "", how = ""] = pathname.split("/");
    const text = JSON.stringify(got);
    response.setHeader("content-type", "application/json");
    switch (what) {
      case "status":
        response.writeHead(Number(how)).end(text);
        return;
      case "delay":
        await delay(Number(how));
        response.end(text);
        return;
      case "flaky": {
        const key = got.headers["x-case"] ?? "";
        const before = failures.get(key) ?? 0;
        failures.set(key, before + 1);
        for (const [header, value] of searchParams) response.setHeader(header, value);
        response.writeHead(before < Number(how) ? 503 : 200).end(text);
        return;
      }
      case "size":
        response.end("a".repeat(Number(how)));
        return;
      case "say":
        response.end(searchParams.get("text"));
        return;
      case "headers":
        for (const [header, value] of searchParams) response.setHeader(header, value);
        response.end(text);
        return;
      case "trickle":
        response.write("begin ");
        await delay(Number(how));
        response.end("end");
        return;
      default:
        response.end(text);
    }
  }

  await new Promise<void>((resolve) => server.listen(0, "127.0.0.1", resolve));
  return {
    port: (server.address() as AddressInfo).port,
    received,
    async [Symbol.asyncDispose]() {
      server.closeAllConnections();
      for (const socket of upgraded) socket.destroy();
      await new Promise((resolve) => server.close(resolve));
    },
  };
}

function receivedOf(server: string, request: IncomingMessage, body: string): Received {
  const { method = "", url = "", headers, rawHeaders, trailers } = request;
  return {
    server,
    method,
    url,
    headers: headers as Record<string, string>,
    rawHeaders,
    trailers: trailers as Record<string, string>,
    body,
  };
}
