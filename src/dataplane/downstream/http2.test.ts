// Clients that speak HTTP/2: over TCP by prior knowledge, and what they may and may not do with it.

import { createServer as createHttp1 } from "node:http";
import { type ClientHttp2Stream, connect as connectHttp2 } from "node:http2";
import { connect } from "node:net";
import fc from "fast-check";
import { afterAll, beforeAll, expect, test } from "vitest";
import { type askHttp2, type Http2TestUpstream, http2Client, http2Upstream } from "../testing/http2.ts";
import { type RawUpstream, rawRequest, rawUpstream } from "../testing/raw.ts";
import { allTo, type HcmInit, listener, routeConfig, type ServedDataPlane, serve, staticCluster, toCluster } from "../testing/resources.ts";

let upstream: RawUpstream;
let modern: Http2TestUpstream;
let plane: ServedDataPlane;

const resources = (hcm: HcmInit = {}) => [
  staticCluster("a", [upstream.port]),
  staticCluster("modern", [modern.port], { http2ProtocolOptions: {} }),
  routeConfig([{ name: "all", domains: ["*"], routes: [toCluster("modern", {}, "/modern"), toCluster("a")] }]),
  listener(0, hcm),
];

beforeAll(async () => {
  upstream = await rawUpstream("a");
  modern = await http2Upstream("modern");
  plane = await serve(resources());
});

afterAll(async () => {
  await plane[Symbol.asyncDispose]();
  await upstream[Symbol.asyncDispose]();
  await modern[Symbol.asyncDispose]();
});

const until = async (isSo: () => boolean) => {
  while (!isSo()) await new Promise((resolve) => setTimeout(resolve, 5));
};

test("a request is served from an upstream of either protocol, body and all", async () => {
  await using client = http2Client(plane.port);
  for (const path of ["/p?q=1", "/modern?q=1"]) {
    const answer = await client.ask([":method", "POST", ":path", path, ":authority", "a.example", "x-one", "1", "x-one", "2"], "hello");
    expect(answer).toMatchObject({ status: 200, code: 0 });
    const seen = JSON.parse(answer.body);
    expect(seen).toMatchObject({ method: "POST", path, body: "hello" });
    expect(seen.headers).toContainEqual(["host", "a.example"]);
    expect(seen.headers.filter(([name]: [string]) => name === "x-one")).toEqual([
      ["x-one", "1"],
      ["x-one", "2"],
    ]);
    expect(answer.headers).toContainEqual(["server", "envoy"]);
  }
  expect(plane.plane.unsupported()).toEqual([]);
});

test("a hundred requests at once share the connection", async () => {
  await using client = http2Client(plane.port);
  const before = plane.plane.stats()["http.http.downstream_cx_http2_total"] as number;
  const answers = await Promise.all(Array.from({ length: 100 }, (_, index) => client.ask([":path", `/${index}`])));
  expect(answers.map((each) => JSON.parse(each.body).path)).toEqual(Array.from({ length: 100 }, (_, index) => `/${index}`));
  expect((plane.plane.stats()["http.http.downstream_cx_http2_total"] as number) - before).toBe(1);
});

test("the preface may come byte by byte, and HTTP/1.1 is served beside it", async () => {
  const whole = Buffer.from("505249202a20485454502f322e300d0a0d0a534d0d0a0d0a000000040000000000", "hex");
  const socket = connect(plane.port, "127.0.0.1");
  let got = Buffer.alloc(0);
  socket.on("data", (data) => {
    got = Buffer.concat([got, data]);
  });
  for (const byte of whole) {
    socket.write(Buffer.of(byte));
    await new Promise((resolve) => setImmediate(resolve));
  }
  await until(() => got.length >= 9);
  expect(got[3]).toBe(4); // SETTINGS
  socket.destroy();
  expect(await rawRequest(plane.port, "GET /p HTTP/1.1\r\nHost: a\r\n\r\n")).toMatchObject({ status: 200 });
});

test("crumbs of a cookie are one header", async () => {
  await using client = http2Client(plane.port);
  const answer = await client.ask([":path", "/p", "cookie", "a=1", "x", "y", "cookie", "b=2"]);
  expect(JSON.parse(answer.body).headers.filter(([name]: [string]) => name === "cookie")).toEqual([["cookie", "a=1; b=2"]]);
});

const refused: readonly (readonly [string, readonly string[], number])[] = [
  ["CONNECT", [":method", "CONNECT"], 405],
  ["TRACE", [":method", "TRACE"], 405],
  ["an authority with a user", [":authority", "u@evil"], 400],
  ["a space in the path", [":path", "/a b"], 400],
  ["a fragment in the path", [":path", "/a#b"], 400],
  ["%00 in the path", [":path", "/a%00"], 400],
  ["an expectation that nobody knows", ["expect", "zzz"], 417],
  ["150 headers", Array.from({ length: 300 }, (_, i) => (i % 2 === 0 ? `x${i}` : "1")), 431],
];

test("what is refused in HTTP/1.1 is refused here, and the connection lives", async () => {
  await using client = http2Client(plane.port);
  upstream.requests.length = 0;
  for (const [name, head, status] of refused) {
    const answer = head[1] === "CONNECT" ? await connectAnswer(client.session) : (await client.ask(head)).status;
    // Some node:http2 refuses before we see them.
    expect([status, "reset"], name).toContain(answer);
  }
  expect(upstream.requests).toEqual([]);
  expect(await client.ask([])).toMatchObject({ status: 200 });
});

test("a head of 70 KiB costs its stream, and no memory", async () => {
  await using client = http2Client(plane.port);
  const many = Array.from({ length: 40 }, (_, i) => [`x-${i}`, "v".repeat(2_000)]).flat();
  expect([431, "reset"]).toContain((await client.ask(many)).status);
  expect(await client.ask([])).toMatchObject({ status: 200 });
});

function connectAnswer(session: Parameters<typeof askHttp2>[0]): Promise<number> {
  return new Promise((resolve) => {
    const stream = session.request([":method", "CONNECT", ":authority", "a:1"] as never);
    stream.on("error", () => undefined);
    stream.on("response", (headers) => resolve(Number(headers[":status"])));
  });
}

test("an upload is passed on as it comes, and may be broken off without looking whole", async () => {
  await using client = http2Client(plane.port);
  const stream = client.session.request([":method", "POST", ":path", "/modern", ":scheme", "http", ":authority", "a"] as never, {
    endStream: false,
    waitForTrailers: true,
  });
  const ends: string[] = [];
  const echo = modern.onStream;
  modern.onStream = (each) => {
    each.on("data", (data: Buffer) => ends.push(data.toString()));
    each.on("end", () => each.rstCode === 0 && !each.aborted && ends.push("whole"));
    each.on("close", () => ends.push(`code ${each.rstCode}`));
  };
  stream.on("error", () => undefined);
  stream.write("part");
  await until(() => ends.length === 1);
  stream.close(8);
  await until(() => ends.length === 2);
  expect(ends).toEqual(["part", "code 8"]);
  modern.onStream = echo;
});

test("a response that is broken off is a reset, not an end", async () => {
  await using client = http2Client(plane.port);
  const echo = upstream.answer;
  upstream.answer = (_, socket) => {
    setTimeout(() => socket.destroy(), 300);
    return "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n4\r\nhalf\r\n";
  };
  const answer = await client.ask([]);
  expect(answer).toMatchObject({ status: 200, body: "half" });
  expect(answer.code).not.toBe(0);
  upstream.answer = echo;
  expect(await client.ask([])).toMatchObject({ status: 200 });
});

test("trailers go both ways between clients and upstreams of HTTP/2", async () => {
  await using client = http2Client(plane.port);
  modern.onStream = (stream, _, request) => {
    stream.respond([":status", "200"] as never, { waitForTrailers: true });
    stream.on("wantTrailers", () => stream.sendTrailers({ "x-sum": "7", "x-more": ["a", "b"] } as never));
    void request().then(({ trailers }) => stream.end(JSON.stringify(trailers)));
  };
  const answer = await client.ask([":method", "POST", ":path", "/modern"], "hi", { "x-checked": "yes" });
  expect(JSON.parse(answer.body)).toEqual([["x-checked", "yes"]]);
  expect(answer.trailers).toEqual([
    ["x-sum", "7"],
    ["x-more", "a"],
    ["x-more", "b"],
  ]);
});

test("an answer before the request is whole ends the stream and not the connection", async () => {
  await using client = http2Client(plane.port);
  const stream = client.session.request([":method", "POST", ":path", "/a%00"] as never, { endStream: false }) as ClientHttp2Stream;
  stream.on("error", () => undefined);
  const status = await new Promise((resolve) => stream.on("response", (headers) => resolve(headers[":status"])));
  expect(status).toBe(400);
  await new Promise((resolve) => stream.on("close", resolve).resume());
  expect(await client.ask([])).toMatchObject({ status: 200 });
});

test("no more streams at once than the connection manager allows", async () => {
  await using limited = await serve(resources({ http2ProtocolOptions: { maxConcurrentStreams: 7 } } as HcmInit));
  await using client = http2Client(limited.port);
  await new Promise((resolve) => client.session.once("remoteSettings", resolve));
  expect(client.session.remoteSettings.maxConcurrentStreams).toBe(7);
});

test("a thousand streams that are reset at once end the connection, not the process", async () => {
  await using limited = await serve(resources({ http2ProtocolOptions: { streamResetBurst: 50n, streamResetRate: 1n } } as HcmInit));
  await using client = http2Client(limited.port);
  const isClosed = new Promise((resolve) => client.session.on("close", () => resolve("closed")));
  const reset = () => {
    for (let i = 0; i < 200 && !client.session.destroyed && !client.session.closed; i++) {
      const stream = client.session.request([":path", "/p"] as never);
      stream.on("error", () => undefined);
      stream.on("ready", () => stream.close(8));
    }
    if (!client.session.destroyed) setTimeout(reset, 5);
  };
  reset();
  expect(await isClosed).toBe("closed");
  await using next = http2Client(limited.port);
  expect(await next.ask([])).toMatchObject({ status: 200 });
  // What the resets had begun is not left behind.
  await until(() => limited.plane.stats()["cluster.a.upstream_rq_active"] === 0);
});

test("whatever frames a client makes up, nothing of it stays", async () => {
  await using local = await serve(resources());
  const preface = Buffer.from("PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n", "latin1");
  const frame = (type: number, flags: number, stream: number, payload: Buffer) => {
    const header = Buffer.alloc(9);
    header.writeUIntBE(payload.length, 0, 3);
    header[3] = type;
    header[4] = flags;
    header.writeUInt32BE(stream, 5);
    return Buffer.concat([header, payload]);
  };
  // GET http a /, in HPACK.
  const block = Buffer.from([0x82, 0x86, 0x84, 0x41, 0x01, 0x61]);
  const seed = Number(process.env.HEADWORKS_SEED ?? Date.now() % 1_000_000);
  const conversation = fc.array(fc.constantFrom("get", "upload", "reset", "window"), { minLength: 1, maxLength: 8 }).map((kinds) => {
    const frames = kinds.flatMap((kind, index) => {
      const stream = 2 * index + 1;
      const head = frame(1, kind === "get" ? 5 : 4, stream, block);
      if (kind === "get") return [head];
      if (kind === "upload") return [head, frame(0, index % 2, stream, Buffer.from("hi"))];
      return [head, kind === "reset" ? frame(3, 0, stream, Buffer.alloc(4, 8)) : frame(8, 0, stream, Buffer.alloc(4, 1))];
    });
    return Buffer.concat([preface, frame(4, 0, 0, Buffer.alloc(0)), ...frames]);
  });
  const mutated = fc
    .tuple(conversation, fc.array(fc.tuple(fc.nat(400), fc.nat(255)), { maxLength: 4 }), fc.option(fc.nat(400), { freq: 5 }))
    .map(([bytes, changes, cut]) => {
      for (const [at, value] of changes) bytes[preface.length + (at % (bytes.length - preface.length))] = value;
      return cut === null ? bytes : bytes.subarray(0, cut);
    });
  const send = (bytes: Buffer) =>
    new Promise<void>((resolve) => {
      const socket = connect(local.port, "127.0.0.1", () => socket.write(bytes));
      socket.on("data", () => undefined);
      socket.on("error", () => undefined);
      socket.on("close", () => resolve());
      setTimeout(() => socket.destroy(), 15);
    });
  const all = fc.sample(mutated, { numRuns: 400, seed });
  while (all.length > 0) await Promise.all(all.splice(0, 20).map(send));
  const left = () => ["cluster.a.upstream_rq_active", "http.http.downstream_rq_active"].map((key) => local.plane.stats()[key]).join();
  await until(() => left() === "0,0");
  await using client = http2Client(local.port);
  expect(await client.ask([]), `seed ${seed}`).toMatchObject({ status: 200 });
});

test("draining tells the client, finishes what is under way, and loses nothing that is on its way", async () => {
  const local = await serve(resources());
  const client = http2Client(local.port);
  const echo = upstream.answer;
  let release = () => {};
  upstream.answer = (request, socket) => {
    release = () => void socket.write(echo(request, socket) as string);
    return undefined;
  };
  const slow = client.ask([":path", "/slow"]);
  await until(() => local.plane.stats()["cluster.a.upstream_rq_active"] === 1);
  const isGoingAway = new Promise((resolve) => client.session.on("goaway", resolve));
  const drained = local.plane.drain(10_000);
  await isGoingAway;
  upstream.answer = echo;
  release();
  expect(await slow).toMatchObject({ status: 200 });
  await drained;
  await client[Symbol.asyncDispose]();
});

/** An echo behind a data plane, and a WebSocket to it on a stream. */
async function webSocket() {
  const { createHash } = await import("node:crypto");
  const server = createHttp1();
  server.on("upgrade", (request, socket) => {
    const accept = createHash("sha1")
      .update(`${request.headers["sec-websocket-key"]}258EAFA5-E914-47DA-95CA-C5AB0DC85B11`)
      .digest("base64");
    socket.write(
      `HTTP/1.1 101 Switching Protocols\r\nConnection: upgrade\r\nUpgrade: websocket\r\nSec-WebSocket-Accept: ${accept}\r\n\r\nhello `,
    );
    socket.on("error", () => undefined);
    socket.pipe(socket);
  });
  await new Promise<void>((resolve) => server.listen(0, "127.0.0.1", resolve));
  const { port } = server.address() as { port: number };
  const hcm = { upgradeConfigs: [{ upgradeType: "websocket" }], http2ProtocolOptions: { allowConnect: true } } as HcmInit;
  const local = await serve([staticCluster("a", [port]), routeConfig([allTo("a")]), listener(0, hcm)]);
  const session = connectHttp2(`http://127.0.0.1:${local.port}`);
  session.on("error", () => undefined);
  await new Promise((resolve) => session.once("remoteSettings", resolve));
  expect(session.remoteSettings.enableConnectProtocol).toBe(true);
  const head = [":method", "CONNECT", ":protocol", "websocket", ":scheme", "http", ":path", "/chat", ":authority", "a"];
  const stream = session.request([...head, "sec-websocket-version", "13"] as never, { endStream: false });
  stream.on("error", () => undefined);
  const received: Buffer[] = [];
  stream.on("data", (data: Buffer) => void received.push(data));
  const answer = await new Promise<Record<string, unknown>>((resolve) => stream.on("response", (headers) => resolve(headers as never)));
  return {
    plane: local.plane,
    stream,
    answer,
    text: () => Buffer.concat(received).toString("latin1"),
    async [Symbol.asyncDispose]() {
      session.destroy();
      await local[Symbol.asyncDispose]();
      server.close();
    },
  };
}

test("a WebSocket goes through a stream, to an upstream of HTTP/1.1", async () => {
  await using socket = await webSocket();
  expect(socket.answer[":status"]).toBe(200);
  expect(socket.answer).not.toHaveProperty("sec-websocket-accept");
  socket.stream.write("there");
  await until(() => socket.text() === "hello there");
});

test("drain ends a WebSocket on a stream with 1001 at the deadline, behind what is still on its way", async () => {
  await using socket = await webSocket();
  await until(() => socket.text() === "hello ");
  // More than the client's window takes while it does not read.
  socket.stream.pause();
  socket.stream.write("x".repeat(100_000));
  await until(() => (socket.stream.state.localWindowSize ?? 0) <= 0);
  const closed = new Promise((resolve) => socket.stream.on("close", resolve));
  const drained = socket.plane.drain(0);
  // The deadline is over by then.
  await new Promise((resolve) => setTimeout(resolve, 50));
  socket.stream.resume();
  await Promise.all([drained, closed]);
  expect(socket.text().slice(-8)).toBe("xxxx\x88\x02\x03\xe9");
});
