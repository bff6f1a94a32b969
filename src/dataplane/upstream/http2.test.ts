// Upstreams that speak HTTP/2: over TCP because the cluster says so, over TLS because they chose it.

import type { ServerHttp2Stream } from "node:http2";
import { connect, createServer, type Socket } from "node:net";
import { expect, test } from "vitest";
import { packAny } from "../../envoy/encode.ts";
import { UpstreamTlsContextSchema } from "../../gen/envoy/envoy/extensions/transport_sockets/tls/v3/tls_pb.js";
import { HttpProtocolOptionsSchema } from "../../gen/envoy/envoy/extensions/upstreams/http/v3/http_protocol_options_pb.js";
import { certificates } from "../testing/certificates.ts";
import { http2Upstream } from "../testing/http2.ts";
import { rawRequest, rawUpstream } from "../testing/raw.ts";
import {
  allTo,
  type ClusterInit,
  type HcmInit,
  listener,
  type RouteInit,
  routeConfig,
  serve,
  staticCluster,
} from "../testing/resources.ts";

const httpOptions = (upstreamProtocolOptions: object): ClusterInit =>
  ({
    typedExtensionProtocolOptions: {
      "envoy.extensions.upstreams.http.v3.HttpProtocolOptions": packAny(HttpProtocolOptionsSchema, { upstreamProtocolOptions } as never),
    },
  }) as ClusterInit;
const http2 = (options: object = {}) =>
  httpOptions({ case: "explicitHttpConfig", value: { protocolConfig: { case: "http2ProtocolOptions", value: options } } });
const auto = httpOptions({ case: "autoConfig", value: {} });
const tls: ClusterInit = {
  transportSocket: { name: "tls", configType: { case: "typedConfig", value: packAny(UpstreamTlsContextSchema, {}) } },
} as ClusterInit;

const plane = (port: number, cluster: ClusterInit, route: RouteInit = {}) =>
  serve([staticCluster("a", [port], cluster), routeConfig([allTo("a", route)]), listener(0)]);
const get = (path = "/p", headers = "") => `GET ${path} HTTP/1.1\r\nHost: a\r\n${headers}\r\n`;
const retryOn = (on: string): RouteInit =>
  ({
    action: {
      case: "route",
      value: {
        clusterSpecifier: { case: "cluster", value: "a" },
        retryPolicy: { retryOn: on, retryBackOff: { baseInterval: { nanos: 1_000_000 } } },
      },
    },
  }) as RouteInit;
const until = async (isSo: () => boolean | Promise<boolean>) => {
  while (!(await isSo())) await new Promise((resolve) => setTimeout(resolve, 5));
};

test("a request reaches an upstream of HTTP/2 whole, and its answer the client", async () => {
  await using upstream = await http2Upstream("a");
  await using served = await plane(upstream.port, http2());
  expect(served.plane.unsupported()).toEqual([]);
  const response = await rawRequest(
    served.port,
    "POST /p?q=1 HTTP/1.1\r\nHost: a.example\r\nX-One: 1\r\nX-One: 2\r\nTE: trailers\r\nConnection: keep-alive\r\nContent-Length: 2\r\n\r\nhi",
  );
  expect(response).toMatchObject({ status: 200, isWhole: true });
  const seen = JSON.parse(response?.body ?? "");
  expect(seen).toMatchObject({ upstream: "a", method: "POST", path: "/p?q=1", body: "hi" });
  expect(seen.headers).toContainEqual(["host", "a.example"]);
  expect(seen.headers).toContainEqual([":scheme", "http"]);
  expect(seen.headers).toContainEqual(["x-one", "1"]);
  expect(seen.headers).toContainEqual(["x-one", "2"]);
  expect(seen.headers).toContainEqual(["content-length", "2"]);
  expect(seen.headers.map(([name]: [string]) => name)).not.toContain("connection");
});

test("the deprecated field says the same", async () => {
  await using upstream = await http2Upstream("a");
  await using served = await plane(upstream.port, { http2ProtocolOptions: {} } as ClusterInit);
  expect(served.plane.unsupported()).toEqual([]);
  expect(await rawRequest(served.port, get())).toMatchObject({ status: 200 });
});

test("requests share a connection, up to the streams that it takes", async () => {
  await using upstream = await http2Upstream("a");
  const held: ServerHttp2Stream[] = [];
  upstream.onStream = (stream) => held.push(stream);
  await using served = await plane(upstream.port, http2({ maxConcurrentStreams: 4 }));
  const answers = Array.from({ length: 10 }, () => rawRequest(served.port, get(), { waitMs: 10_000 }));
  await until(() => held.length === 10);
  expect(upstream.accepted).toBe(3);
  for (const stream of held.splice(0)) {
    stream.respond([":status", "200"] as never);
    stream.end("x");
  }
  expect((await Promise.all(answers)).map((each) => each?.body)).toEqual(Array(10).fill("x"));
});

test("an upstream that takes few streams at once gets no more", async () => {
  await using upstream = await http2Upstream("a", { settings: { maxConcurrentStreams: 1 } });
  await using served = await plane(upstream.port, http2());
  for (let i = 0; i < 3; i++) expect(await rawRequest(served.port, get())).toMatchObject({ status: 200 });
  expect(upstream.accepted).toBe(1);
  const answers = await Promise.all(Array.from({ length: 8 }, () => rawRequest(served.port, get(), { waitMs: 10_000 })));
  expect(answers.map((each) => each?.status)).toEqual(Array(8).fill(200));
});

test("over TLS the upstream chooses the protocol, where the cluster leaves it to it", async () => {
  using made = certificates();
  await using upstream = await http2Upstream("a", { tls: made.selfSigned("a") });
  const secure = await import("node:tls");
  const { certificate, key } = made.selfSigned("b");
  const old = secure.createServer({ cert: certificate, key, ALPNProtocols: ["http/1.1"] }, (socket) => {
    socket.on("error", () => undefined);
    socket.on("data", () => socket.write("HTTP/1.1 200 OK\r\nContent-Length: 3\r\n\r\nold"));
  });
  await new Promise<void>((resolve) => old.listen(0, "127.0.0.1", resolve));
  await using fresh = await plane(upstream.port, { ...auto, ...tls } as ClusterInit);
  await using aged = await plane((old.address() as { port: number }).port, { ...auto, ...tls } as ClusterInit);
  await using told = await plane(upstream.port, { ...http2(), ...tls } as ClusterInit);
  expect([fresh, aged, told].flatMap((each) => each.plane.unsupported())).toEqual([]);
  for (let i = 0; i < 2; i++) {
    expect(JSON.parse((await rawRequest(fresh.port, get()))?.body ?? "")).toMatchObject({ upstream: "a" });
    expect(await rawRequest(aged.port, get())).toMatchObject({ body: "old" });
    expect(await rawRequest(told.port, get())).toMatchObject({ status: 200 });
  }
  const many = await Promise.all(Array.from({ length: 5 }, () => rawRequest(aged.port, get(), { waitMs: 10_000 })));
  expect(many.map((each) => each?.body)).toEqual(Array(5).fill("old"));
  old.close();
});

test("an upstream that goes away costs no request", async () => {
  await using upstream = await http2Upstream("a");
  await using served = await plane(upstream.port, http2());
  const statuses: (number | undefined)[] = [];
  for (let i = 0; i < 60; i++) {
    if (i % 10 === 5) for (const session of upstream.sessions) session.close();
    statuses.push((await rawRequest(served.port, get()))?.status);
  }
  expect(new Set(statuses)).toEqual(new Set([200]));
  expect(upstream.accepted).toBeGreaterThan(3);
});

test("what is under way when the upstream says goodbye is finished", async () => {
  await using upstream = await http2Upstream("a");
  const held: ServerHttp2Stream[] = [];
  upstream.onStream = (stream) => held.push(stream);
  await using served = await plane(upstream.port, http2());
  const first = rawRequest(served.port, get("/1"), { waitMs: 10_000 });
  await until(() => held.length === 1);
  for (const session of upstream.sessions) session.close();
  await new Promise((resolve) => setTimeout(resolve, 20));
  const second = rawRequest(served.port, get("/2"), { waitMs: 10_000 });
  await until(() => held.length === 2);
  for (const [index, stream] of held.entries()) {
    stream.respond([":status", "200"] as never);
    stream.end(String(index));
  }
  expect([(await first)?.body, (await second)?.body]).toEqual(["0", "1"]);
  expect(upstream.accepted).toBe(2);
});

test("a refused stream is tried again where the policy says so", async () => {
  await using upstream = await http2Upstream("a");
  let refusals = 1;
  const echo = upstream.onStream;
  upstream.onStream = (stream, head, request) => (refusals-- > 0 ? stream.close(7) : echo(stream, head, request));
  await using retrying = await plane(upstream.port, http2(), retryOn("refused-stream"));
  expect(await rawRequest(retrying.port, get())).toMatchObject({ status: 200 });
  refusals = 1;
  await using plain = await plane(upstream.port, http2());
  expect(await rawRequest(plain.port, get())).toMatchObject({
    status: 503,
    body: "upstream connect error or disconnect/reset before headers. reset reason: remote refused stream reset",
  });
});

test("a reset before the head is an answer, one after it is seen by the client", async () => {
  await using upstream = await http2Upstream("a");
  await using served = await plane(upstream.port, http2());
  upstream.onStream = (stream) => stream.close(2);
  expect(await rawRequest(served.port, get())).toMatchObject({
    status: 503,
    body: "upstream connect error or disconnect/reset before headers. reset reason: remote reset",
  });
  upstream.onStream = (stream) => {
    // Waiting for trailers: otherwise node:http2 ends the stream before it resets it.
    stream.respond([":status", "200"] as never, { waitForTrailers: true });
    stream.write("half", () => setTimeout(() => stream.close(2), 300));
  };
  expect(await rawRequest(served.port, get())).toMatchObject({ status: 200, isWhole: false });
  // The connection is none the worse for it.
  expect(upstream.accepted).toBe(1);
  upstream.onStream = (stream) => stream.session?.destroy();
  expect(await rawRequest(served.port, get())).toMatchObject({
    status: 503,
    body: "upstream connect error or disconnect/reset before headers. reset reason: connection termination",
  });
});

test("a client that leaves resets its stream and nothing else", async () => {
  await using upstream = await http2Upstream("a");
  const codes: (number | undefined)[] = [];
  const echo = upstream.onStream;
  let begun = 0;
  upstream.onStream = (stream) => {
    begun++;
    stream.on("close", () => codes.push(stream.rstCode));
  };
  await using served = await plane(upstream.port, http2());
  const socket = connect(served.port, "127.0.0.1");
  socket.write(get());
  await until(() => begun === 1);
  socket.destroy();
  await until(() => codes.length === 1);
  expect(codes).toEqual([8]);
  upstream.onStream = echo;
  expect(await rawRequest(served.port, get())).toMatchObject({ status: 200 });
  expect(upstream.accepted).toBe(1);
});

test("an upload that is broken off does not look whole to the upstream", async () => {
  await using upstream = await http2Upstream("a");
  const ends: string[] = [];
  upstream.onStream = (stream) => {
    stream.resume();
    stream.on("end", () => ends.push(stream.aborted || stream.rstCode !== 0 ? "broken" : "whole"));
    stream.on("close", () => ends.push(`code ${stream.rstCode}`));
  };
  await using served = await plane(upstream.port, http2());
  for (const framing of ["Transfer-Encoding: chunked\r\n\r\n2\r\nhi\r\n", "Content-Length: 9\r\n\r\nhi"]) {
    const socket = connect(served.port, "127.0.0.1");
    socket.write(`POST /p HTTP/1.1\r\nHost: a\r\n${framing}`);
    const before = ends.length;
    await until(() => served.plane.stats()["cluster.a.upstream_rq_active"] === 1);
    await new Promise((resolve) => setTimeout(resolve, 30));
    socket.destroy();
    await until(() => ends.slice(before).some((each) => each.startsWith("code")));
  }
  expect(ends).not.toContain("whole");
  expect(ends.filter((each) => each.startsWith("code"))).toEqual(["code 8", "code 8"]);
});

test("a response may be whole before its request", async () => {
  await using upstream = await http2Upstream("a");
  upstream.onStream = (stream) => {
    stream.respond([":status", "403"] as never);
    stream.end("no");
  };
  await using served = await plane(upstream.port, http2());
  expect(await rawRequest(served.port, "POST /p HTTP/1.1\r\nHost: a\r\nContent-Length: 100\r\n\r\nhi")).toMatchObject({
    status: 403,
    body: "no",
  });
});

test("heads that HTTP/1.1 cannot say are not passed on", async () => {
  await using upstream = await http2Upstream("a", {});
  upstream.onStream = (stream) => {
    stream.respond(Array.from({ length: 202 }, (_, i) => (i === 0 ? ":status" : i === 1 ? "200" : `x${i}`)) as never);
    stream.end();
  };
  await using served = await plane(upstream.port, http2());
  expect(await rawRequest(served.port, get())).toMatchObject({ status: 502 });
});

test("a WebSocket goes to an upstream of HTTP/2 as an extended CONNECT", async () => {
  await using upstream = await http2Upstream("a", { settings: { enableConnectProtocol: true } });
  let head: readonly string[] = [];
  upstream.onStream = (stream, list) => {
    head = list;
    stream.respond([":status", "200"] as never);
    stream.write("hello ");
    stream.pipe(stream);
  };
  await using served = await serve([
    staticCluster("a", [upstream.port], http2()),
    routeConfig([allTo("a")]),
    listener(0, { upgradeConfigs: [{ upgradeType: "websocket" }] } as HcmInit),
  ]);
  // The first request learns that the upstream takes them.
  await until(async () => {
    const socket = connect(served.port, "127.0.0.1");
    let text = "";
    socket.on("data", (data) => {
      text += data.toString("latin1");
    });
    socket.on("error", () => undefined);
    socket.write(
      get(
        "/chat",
        "Connection: upgrade\r\nUpgrade: websocket\r\nSec-WebSocket-Version: 13\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n",
      ),
    );
    await until(() => text.includes("hello ") || text.includes(" 50"));
    socket.write("there");
    await until(() => text.endsWith("there") || !text.includes(" 101 "));
    socket.destroy();
    if (!text.startsWith("HTTP/1.1 101 ")) return false;
    expect(text.toLowerCase()).toContain("upgrade: websocket\r\n");
    expect(text.toLowerCase()).toContain("sec-websocket-accept: s3pplmbitxaq9kygzzhzrbk+xoo=");
    return true;
  });
  expect(head).toContain(":protocol");
  expect(head).not.toContain("sec-websocket-key");
});

test("64 MiB go through either way without gathering", async () => {
  await using upstream = await http2Upstream("a");
  const size = 64 * 1_048_576;
  upstream.onStream = (stream, head) => {
    if (head.includes("POST")) {
      let got = 0;
      stream.on("data", (part: Buffer) => {
        got += part.length;
      });
      stream.on("end", () => {
        stream.respond([":status", "200"] as never);
        stream.end(String(got));
      });
      return;
    }
    stream.respond([":status", "200", "content-length", String(size)] as never);
    const part = Buffer.alloc(65_536, 0x61);
    let left = size / part.length;
    const more = () => {
      while (left-- > 0) if (!stream.write(part)) return void stream.once("drain", more);
      stream.end();
    };
    more();
  };
  await using served = await plane(upstream.port, http2());
  expect(await transfer(served.port, get())).toBe(size);
  const body = Buffer.alloc(size, 0x62);
  const response = await rawRequest(
    served.port,
    [`POST / HTTP/1.1\r\nHost: a\r\nContent-Length: ${size}\r\n\r\n`, body.toString("latin1")],
    {
      waitMs: 30_000,
    },
  );
  expect(response?.body).toBe(String(size));
});

/** Bytes of the body. */
function transfer(port: number, request: string): Promise<number> {
  return new Promise((resolve) => {
    const socket = connect(port, "127.0.0.1", () => socket.write(request));
    let got = 0;
    let head = 0;
    socket.on("data", (data) => {
      if (head === 0) head = data.indexOf("\r\n\r\n") + 4;
      got += data.length;
      if (got - head >= 64 * 1_048_576) socket.destroy();
    });
    socket.on("close", () => resolve(got - head));
  });
}

test("pings notice a connection that is dead without a word", async () => {
  await using upstream = await http2Upstream("a");
  const links: { near: Socket; far: Socket }[] = [];
  const wire = createServer((near) => {
    const far = connect(upstream.port, "127.0.0.1");
    links.push({ near, far });
    for (const each of [near, far]) each.on("error", () => undefined);
    near.pipe(far);
    far.pipe(near);
  });
  await new Promise<void>((resolve) => wire.listen(0, "127.0.0.1", resolve));
  await using served = await plane(
    (wire.address() as { port: number }).port,
    http2({ connectionKeepalive: { interval: { nanos: 50_000_000 }, timeout: { seconds: 1n } } }),
  );
  expect(await rawRequest(served.port, get())).toMatchObject({ status: 200 });
  for (const { near, far } of links) {
    near.unpipe(far);
    far.unpipe(near);
  }
  expect(await rawRequest(served.port, get(), { waitMs: 10_000 })).toMatchObject({ status: 503 });
  expect(await rawRequest(served.port, get(), { waitMs: 10_000 })).toMatchObject({ status: 200 });
  for (const { near, far } of links) {
    near.destroy();
    far.destroy();
  }
  wire.close();
});

test("an HTTP/1.1 upstream where HTTP/2 was said is an error of that cluster, not of the process", async () => {
  await using upstream = await rawUpstream("a");
  upstream.answer = () => "HTTP/1.1 400 Bad\r\nContent-Length: 0\r\n\r\n";
  await using served = await plane(upstream.port, http2());
  expect([502, 503]).toContain((await rawRequest(served.port, get(), { waitMs: 10_000 }))?.status);
});
