// Bodies flow in both ways at the pace of the slower side and are never held whole; who goes away takes the other side with him.

import { createServer as createHttpServer, request as httpRequest } from "node:http";
import { connect, createServer } from "node:net";
import { setTimeout as delay } from "node:timers/promises";
import { expect, test } from "vitest";
import { WebSocket, WebSocketServer } from "ws";
import { http2Client, http2Upstream } from "./testing/http2.ts";
import { rawRequest, rawUpstream } from "./testing/raw.ts";
import { allTo, listener, routeConfig, serve, staticCluster } from "./testing/resources.ts";

const isLong = process.env.HEADWORKS_LONG === "1";
const size = isLong ? 1_073_741_824 : 134_217_728;
const piece = Buffer.alloc(65_536, "x");

async function tcpServer(onSocket: Parameters<typeof createServer>[1]) {
  const server = createServer(onSocket);
  await new Promise<void>((resolve) => server.listen(0, "127.0.0.1", resolve));
  return { port: (server.address() as { port: number }).port, [Symbol.dispose]: () => void server.close() };
}

test(`a response of ${size / 1_048_576} MiB to a slow client does not gather in memory`, async () => {
  let sent = 0;
  using upstream = await tcpServer((socket) => {
    socket.on("error", () => undefined);
    socket.once("data", () => {
      socket.write(`HTTP/1.1 200 OK\r\nContent-Length: ${size}\r\n\r\n`);
      const more = () => {
        while (sent < size) {
          sent += piece.length;
          if (!socket.write(piece)) return;
        }
      };
      socket.on("drain", more);
      more();
    });
  });
  await using plane = await serve([staticCluster("a", [upstream.port]), routeConfig([allTo("a", {})]), listener(0)]);
  const client = connect(plane.port, "127.0.0.1");
  client.write("GET / HTTP/1.1\r\nHost: a\r\n\r\n");
  client.pause();
  await delay(300);
  // Nobody reads: only what fits into buffers may have left the upstream.
  expect(sent).toBeLessThan(32 * 1_048_576);
  const before = process.memoryUsage().rss;
  let peak = 0;
  let received = 0;
  await new Promise<void>((resolve) => {
    client.on("data", (data) => {
      received += data.length;
      if (received % 16 === 0) peak = Math.max(peak, process.memoryUsage().rss);
      if (received >= size) resolve();
    });
    client.resume();
  });
  client.destroy();
  expect(received).toBeGreaterThanOrEqual(size);
  // Upstream, client and data plane are all in this process.
  expect(peak - before).toBeLessThan(128 * 1_048_576);
});

test(`an upload of ${size / 1_048_576} MiB to a slow upstream does not gather in memory`, async () => {
  let received = 0;
  let go = () => {};
  using upstream = await tcpServer((socket) => {
    socket.on("error", () => undefined);
    socket.pause();
    go = () => socket.resume();
    socket.on("data", (data) => {
      received += data.length;
      if (received >= size) socket.write("HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok");
    });
  });
  await using plane = await serve([staticCluster("a", [upstream.port]), routeConfig([allTo("a")]), listener(0)]);
  let sent = 0;
  const response = new Promise<number | undefined>((resolve, reject) => {
    const request = httpRequest({ port: plane.port, host: "127.0.0.1", method: "POST", headers: { "content-length": size } }, (answer) => {
      answer.resume();
      resolve(answer.statusCode);
    });
    request.on("error", reject);
    const more = () => {
      while (sent < size) {
        sent += piece.length;
        if (!request.write(piece)) return;
      }
      request.end();
    };
    request.on("drain", more);
    more();
  });
  await delay(300);
  expect(sent).toBeLessThan(32 * 1_048_576);
  go();
  expect(await response).toBe(200);
});

test("a chunked upload is forwarded as it comes, before its end", async () => {
  let text = "";
  using upstream = await tcpServer((socket) => {
    socket.on("error", () => undefined);
    socket.on("data", (data) => {
      text += data.toString("latin1");
    });
  });
  await using plane = await serve([staticCluster("a", [upstream.port]), routeConfig([allTo("a")]), listener(0)]);
  const client = connect(plane.port, "127.0.0.1");
  client.write("POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nfirst\r\n");
  await expect.poll(() => text).toContain("5\r\nfirst\r\n");
  client.write("6\r\nsecond\r\n");
  await expect.poll(() => text).toContain("6\r\nsecond\r\n");
  expect(text).not.toContain("0\r\n\r\n");
  client.destroy();
});

test("server-sent events arrive one by one", async () => {
  const server = createHttpServer((_, response) => {
    response.writeHead(200, { "content-type": "text/event-stream" });
    response.write("data: 1\n\n");
    setTimeout(() => response.write("data: 2\n\n"), 50);
  });
  await new Promise<void>((resolve) => server.listen(0, "127.0.0.1", resolve));
  await using plane = await serve([
    staticCluster("a", [(server.address() as { port: number }).port]),
    routeConfig([allTo("a")]),
    listener(0),
  ]);
  const response = await fetch(`http://127.0.0.1:${plane.port}/`);
  const reader = (response.body as ReadableStream<Uint8Array>).getReader();
  expect(Buffer.from((await reader.read()).value as Uint8Array).toString()).toBe("data: 1\n\n");
  expect(Buffer.from((await reader.read()).value as Uint8Array).toString()).toBe("data: 2\n\n");
  await reader.cancel();
  server.closeAllConnections();
  server.close();
});

test("a client that leaves takes its upstream request with it", async () => {
  await using upstream = await rawUpstream("a");
  upstream.answer = () => undefined;
  await using plane = await serve([staticCluster("a", [upstream.port]), routeConfig([allTo("a")]), listener(0)]);
  const clients = Array.from({ length: 20 }, () => {
    const client = connect(plane.port, "127.0.0.1");
    client.write("GET / HTTP/1.1\r\nHost: a\r\n\r\n");
    return client;
  });
  await expect.poll(() => upstream.requests.length).toBe(20);
  for (const client of clients) client.destroy();
  await expect.poll(() => upstream.connections.size).toBe(0);
  expect(plane.plane.stats()["cluster.a.upstream_rq_active"]).toBe(0);
});

test("clients that leave in the middle of a paused response leave nothing behind", async () => {
  let asked = 0;
  using upstream = await tcpServer((socket) => {
    socket.on("error", () => undefined);
    socket.once("data", () => {
      asked++;
      socket.write("HTTP/1.1 200 OK\r\nContent-Length: 100000000\r\n\r\n");
      for (let i = 0; i < 100; i++) socket.write(piece);
    });
  });
  await using plane = await serve([staticCluster("a", [upstream.port]), routeConfig([allTo("a")]), listener(0)]);
  const clients = Array.from({ length: 64 }, () => {
    const client = connect(plane.port, "127.0.0.1");
    client.on("error", () => undefined);
    client.write("GET / HTTP/1.1\r\nHost: a\r\n\r\n");
    client.pause();
    return client;
  });
  await expect.poll(() => asked).toBe(64);
  await delay(100);
  for (const client of clients) client.destroy();
  await expect.poll(() => plane.plane.stats()["cluster.a.upstream_cx_active"]).toBe(0);
});

test("an upstream that answers before the upload ends is heard, and the connection ends", async () => {
  using upstream = await tcpServer((socket) => {
    socket.on("error", () => undefined);
    socket.once("data", () => socket.write("HTTP/1.1 413 Too Large\r\nContent-Length: 2\r\n\r\nno"));
  });
  await using plane = await serve([staticCluster("a", [upstream.port]), routeConfig([allTo("a")]), listener(0)]);
  const response = await rawRequest(plane.port, "POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 1000000\r\n\r\nbegin", {
    closeWaitMs: 15_000,
  });
  expect(response?.status).toBe(413);
  expect(response?.body).toBe("no");
  expect(response?.isClosed).toBe(true);
});

const withWebSocket = { upgradeConfigs: [{ upgradeType: "websocket" }] };

test("a WebSocket echoes through, large messages too, and closes with its code", async () => {
  const server = new WebSocketServer({ port: 0, host: "127.0.0.1" });
  await new Promise((resolve) => server.once("listening", resolve));
  server.on("connection", (socket) => socket.on("message", (data, isBinary) => socket.send(data, { binary: isBinary })));
  await using plane = await serve([
    staticCluster("a", [(server.address() as { port: number }).port]),
    routeConfig([allTo("a")]),
    listener(0, withWebSocket),
  ]);
  const client = new WebSocket(`ws://127.0.0.1:${plane.port}/chat`);
  await new Promise((resolve, reject) => {
    client.once("open", resolve);
    client.once("error", reject);
  });
  const echo = (message: string | Buffer) =>
    new Promise<string>((resolve) => {
      client.once("message", (data) => resolve(data.toString()));
      client.send(message);
    });
  expect(await echo("hello")).toBe("hello");
  expect((await echo(Buffer.alloc(5_000_000, "y"))).length).toBe(5_000_000);
  // A change of the configuration does not concern it.
  plane.publish(routeConfig([{ name: "none", domains: ["*"], routes: [] }]));
  expect(await echo("still")).toBe("still");
  const closed = new Promise<number>((resolve) => client.once("close", (code) => resolve(code)));
  for (const socket of server.clients) socket.close(4_000);
  expect(await closed).toBe(4_000);
  server.close();
});

test("drain ends a WebSocket with 1001 at the deadline", async () => {
  const server = new WebSocketServer({ port: 0, host: "127.0.0.1" });
  await new Promise((resolve) => server.once("listening", resolve));
  await using plane = await serve([
    staticCluster("a", [(server.address() as { port: number }).port]),
    routeConfig([allTo("a")]),
    listener(0, withWebSocket),
  ]);
  const client = new WebSocket(`ws://127.0.0.1:${plane.port}/chat`);
  await new Promise((resolve) => client.once("open", resolve));
  const closed = new Promise<number>((resolve) => client.once("close", (code) => resolve(code)));
  await plane.plane.drain(100);
  expect(await closed).toBe(1001);
  for (const socket of server.clients) socket.terminate();
  server.close();
});

const upgrade =
  "GET / HTTP/1.1\r\nHost: a\r\nConnection: upgrade\r\nUpgrade: websocket\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\nSec-WebSocket-Version: 13\r\n\r\n";

test("an upgrade that is not allowed is refused with 403 and ends the connection", async () => {
  await using upstream = await rawUpstream("a");
  await using plane = await serve([staticCluster("a", [upstream.port]), routeConfig([allTo("a")]), listener(0)]);
  const response = await rawRequest(plane.port, `${upgrade}GET /smuggled HTTP/1.1\r\nHost: a\r\n\r\n`, { closeWaitMs: 15_000 });
  expect(response?.status).toBe(403);
  expect(response?.isClosed).toBe(true);
  expect(upstream.requests).toEqual([]);
});

test("a 101 with a wrong Sec-WebSocket-Accept is not believed", async () => {
  await using upstream = await rawUpstream("a");
  upstream.answer = () =>
    "HTTP/1.1 101 Switching Protocols\r\nConnection: upgrade\r\nUpgrade: websocket\r\nSec-WebSocket-Accept: wrong\r\n\r\n";
  await using plane = await serve([staticCluster("a", [upstream.port]), routeConfig([allTo("a")]), listener(0, withWebSocket)]);
  expect((await rawRequest(plane.port, upgrade))?.status).toBe(502);
});

test(`HTTP/2 on both sides: ${size / 1_048_576} MiB down and up wait for who is slow`, async () => {
  let sent = 0;
  let received = 0;
  let go = () => {};
  await using upstream = await http2Upstream("a");
  upstream.onStream = (stream, head) => {
    if (head.includes("POST")) {
      stream.pause();
      go = () => void stream.resume();
      stream.on("data", (data: Buffer) => {
        received += data.length;
      });
      stream.on("end", () => {
        stream.respond([":status", "200"] as never);
        stream.end();
      });
      return;
    }
    stream.respond([":status", "200"] as never);
    const more = () => {
      while (sent < size) {
        sent += piece.length;
        if (!stream.write(piece)) return;
      }
      stream.end();
    };
    stream.on("drain", more);
    more();
  };
  await using plane = await serve([
    staticCluster("a", [upstream.port], { http2ProtocolOptions: {} }),
    routeConfig([allTo("a")]),
    listener(0),
  ]);
  await using client = http2Client(plane.port);

  const down = client.session.request([":method", "GET", ":path", "/", ":scheme", "http", ":authority", "a"] as never);
  down.pause();
  await delay(300);
  // Windows of the client, of the data plane and of what is between them.
  expect(sent).toBeLessThan(16 * 1_048_576);
  const before = process.memoryUsage().rss;
  let peak = 0;
  let got = 0;
  await new Promise<void>((resolve) => {
    down.on("data", (data: Buffer) => {
      got += data.length;
      peak = Math.max(peak, process.memoryUsage().rss);
    });
    down.on("end", resolve);
    down.resume();
  });
  expect(got).toBe(size);

  const up = client.session.request([":method", "POST", ":path", "/", ":scheme", "http", ":authority", "a"] as never, { endStream: false });
  let written = 0;
  const more = () => {
    while (written < size) {
      written += piece.length;
      if (!up.write(piece)) return;
    }
    up.end();
  };
  up.on("drain", more);
  more();
  await delay(300);
  expect(written).toBeLessThan(16 * 1_048_576);
  expect(received).toBe(0);
  go();
  await new Promise<void>((resolve) => up.on("response", () => resolve()));
  expect(received).toBe(size);
  expect(peak - before).toBeLessThan(128 * 1_048_576);
});
