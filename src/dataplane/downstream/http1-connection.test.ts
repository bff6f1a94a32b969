// What clients may send and what they get for it, over raw sockets. The rows are those of the bad-input catalogue: a request that two parsers could
// read differently is refused, its connection ends, and the upstream hears nothing of it.

import { connect } from "node:net";
import { setTimeout as delay } from "node:timers/promises";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { type RawUpstream, rawRequest, rawUpstream } from "../testing/raw.ts";
import { allTo, listener, routeConfig, type ServedDataPlane, serve, staticCluster } from "../testing/resources.ts";

let upstream: RawUpstream;
let plane: ServedDataPlane;

beforeAll(async () => {
  upstream = await rawUpstream("a");
  plane = await serve([staticCluster("a", [upstream.port]), routeConfig([allTo("a")]), listener(0)]);
});

afterAll(async () => {
  await plane[Symbol.asyncDispose]();
  await upstream[Symbol.asyncDispose]();
});

const post = (headers: string, body = "") => `POST /p HTTP/1.1\r\nHost: a\r\n${headers}\r\n${body}`;
const get = (headers = "", target = "/p") => `GET ${target} HTTP/1.1\r\nHost: a\r\n${headers}\r\n`;
const chunked = (body: string) => post("Transfer-Encoding: chunked\r\n", body);

const refused: readonly (readonly [string, string, number | readonly number[]])[] = [
  ["Content-Length and Transfer-Encoding", post("Content-Length: 2\r\nTransfer-Encoding: chunked\r\n", "0\r\n\r\n"), 400],
  ["Transfer-Encoding and Content-Length", post("Transfer-Encoding: chunked\r\nContent-Length: 2\r\n", "0\r\n\r\n"), 400],
  ["Content-Length twice", post("Content-Length: 2\r\nContent-Length: 2\r\n", "hi"), 400],
  ["Content-Length 2, 2", post("Content-Length: 2, 2\r\n", "hi"), 400],
  ["Content-Length +2", post("Content-Length: +2\r\n", "hi"), 400],
  ["Content-Length -1", post("Content-Length: -1\r\n", "hi"), 400],
  ["Content-Length 0x2", post("Content-Length: 0x2\r\n", "hi"), 400],
  ["Content-Length empty", post("Content-Length:\r\n", "hi"), 400],
  ["Content-Length of 20 digits", post("Content-Length: 12345678901234567890\r\n", "hi"), 400],
  ["Content-Length with a space before the colon", post("Content-Length : 2\r\n", "hi"), 400],
  ["Transfer-Encoding gzip, chunked", post("Transfer-Encoding: gzip, chunked\r\n"), 501],
  ["Transfer-Encoding ,chunked", post("Transfer-Encoding: ,chunked\r\n"), 501],
  ["Transfer-Encoding unknown", post("Transfer-Encoding: foo\r\n"), [400, 501]],
  ["Transfer-Encoding chunked, gzip", post("Transfer-Encoding: chunked, gzip\r\n"), [400, 501]],
  ["Transfer-Encoding twice", post("Transfer-Encoding: chunked\r\nTransfer-Encoding: chunked\r\n"), [400, 501]],
  ["Transfer-Encoding with an odd space", post("Transfer-Encoding: \xa0chunked\r\n"), [400, 501]],
  ["Transfer-Encoding in HTTP/1.0", "POST /p HTTP/1.0\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n", 400],
  ["a folded Transfer-Encoding", post("Transfer-Encoding:\r\n chunked\r\n", "0\r\n\r\n"), 400],
  ["a folded header", get("X: a\r\n b\r\n"), 400],
  ["chunk size 0x2", chunked("0x2\r\nhi\r\n0\r\n\r\n"), 400],
  ["chunk size with a space before", chunked(" 2\r\nhi\r\n0\r\n\r\n"), 400],
  ["chunk size with a space behind", chunked("2 \r\nhi\r\n0\r\n\r\n"), 400],
  ["chunk with a bare LF", chunked("2\nhi\n0\n\n"), 400],
  ["chunk with a bad end", chunked("2\r\nhiX\r\n0\r\n\r\n"), 400],
  ["chunk size beyond 2^64", chunked("10000000000000002\r\nhi\r\n0\r\n\r\n"), 400],
  ["chunk extension of 64 KiB", chunked(`2;${"x".repeat(65_536)}\r\nhi\r\n0\r\n\r\n`), 400],
  ["bare LF lines", "GET /p HTTP/1.1\nHost: a\n\n", 400],
  ["a bare LF in a header", get("X: a\nY: b\r\n"), 400],
  ["a bare CR in a value", get("X: b\rX-B: c\r\n"), 400],
  ["NUL in a value", get("X: a\0b\r\n"), 400],
  ["a header without a colon", get("X\r\n"), 400],
  ["an empty name", get(": x\r\n"), 400],
  ["a space before the first header", "GET /p HTTP/1.1\r\n Host: a\r\n\r\n", 400],
  ["a name that is not ASCII", get("X\xe9: 1\r\n"), 400],
  ["no Host", "GET /p HTTP/1.1\r\n\r\n", 400],
  ["two Hosts", get("Host: b\r\n"), 400],
  ["Host that is a URL", "GET /p HTTP/1.1\r\nHost: a b/c?@\r\n\r\n", 400],
  ["Host with a user", "GET /p HTTP/1.1\r\nHost: u@evil\r\n\r\n", 400],
  ["an empty Host", "GET /p HTTP/1.1\r\nHost:\r\n\r\n", 400],
  ["a fragment in the target", get("", "/p#f"), 400],
  ["a space in the target", get("", "/p q"), 400],
  ["a target that is not ASCII", get("", "/p\xe9"), 400],
  ["%00 in the path", get("", "/p%00q"), 400],
  ["no version", "GET /p\r\nHost: a\r\n\r\n", 400],
  ["HTTP/2.0 in the request line", "GET /p HTTP/2.0\r\nHost: a\r\n\r\n", [400, 505]],
  ["HTTP/1.32", "GET /p HTTP/1.32\r\nHost: a\r\n\r\n", 400],
  ["HTTP/1.0", "GET /p HTTP/1.0\r\nHost: a\r\n\r\n", 426],
  ["an unknown method", "FOO /p HTTP/1.1\r\nHost: a\r\n\r\n", 400],
  ["a method in lower case", "get /p HTTP/1.1\r\nHost: a\r\n\r\n", 400],
  ["CONNECT", "CONNECT a:80 HTTP/1.1\r\nHost: a:80\r\n\r\n", 405],
  ["TRACE", "TRACE /p HTTP/1.1\r\nHost: a\r\n\r\n", 405],
  ["Connection nominates X-Forwarded-For", get("Connection: X-Secret, X-Forwarded-For\r\n"), 400],
  ["Connection nominates Host", get("Connection: host\r\n"), 400],
  ["an Expect that is not known", post("Expect: 200-maybe\r\nContent-Length: 2\r\n", "hi"), 417],
  ["a head of 70 KB", get(`X: ${"a".repeat(70_000)}\r\n`), 431],
  ["200 headers", get(Array.from({ length: 200 }, (_, index) => `x${index}: 1\r\n`).join("")), 431],
  ["the first bytes of TLS", "\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03", 400],
  ["the preface of HTTP/2 with another end", "PRI * HTTP/2.0\r\n\r\nXX\r\n\r\n", 400],
];

describe("is refused, and the connection ends:", () => {
  test.each(refused)("%s", async (_, bytes, status) => {
    upstream.requests.length = 0;
    const response = await rawRequest(plane.port, bytes, { closeWaitMs: 15_000 });
    expect([status].flat()).toContain(response?.status);
    expect(response?.isClosed).toBe(true);
    expect(response?.headers).toContainEqual(["connection", "close"]);
    expect(upstream.requests).toEqual([]);
  });
});

interface Got {
  readonly path: string;
  readonly headers: readonly (readonly [string, string])[];
  readonly body: string;
}

async function forwarded(bytes: string | readonly string[]): Promise<Got> {
  const response = await rawRequest(plane.port, bytes);
  expect(response?.status).toBe(200);
  return JSON.parse(response?.body ?? "") as Got;
}

describe("is served:", () => {
  test("Content-Length 002 goes on as 2", async () => {
    const got = await forwarded(post("Content-Length: 002\r\n", "hi"));
    expect(got.headers).toContainEqual(["content-length", "2"]);
    expect(got.body).toBe("hi");
  });

  test("trailers are dropped", async () => {
    const got = await forwarded(chunked("2\r\nhi\r\n0\r\nHost: evil\r\nContent-Length: 9\r\n\r\n"));
    expect(got.body).toBe("hi");
    expect(got.headers.filter(([name]) => name === "host")).toEqual([["host", "a"]]);
  });

  test("a chunked body in single bytes", async () => {
    const got = await forwarded([post("Transfer-Encoding: chunked\r\n"), ..."3;x=y\r\nabc\r\n0A\r\n0123456789\r\n0\r\n\r\n"]);
    expect(got.body).toBe("abc0123456789");
  });

  test("the authority of an absolute target is the host", async () => {
    const got = await forwarded("GET http://real.example/p?q HTTP/1.1\r\nHost: other\r\n\r\n");
    expect(got.path).toBe("/p?q");
    expect(got.headers).toContainEqual(["host", "real.example"]);
  });

  test("hop-by-hop headers and what Connection nominates stay here", async () => {
    const got = await forwarded(
      get(
        "Connection: keep-alive, x-s\r\nX-S: 1\r\nX-T: 2\r\nKeep-Alive: 5\r\nProxy-Authorization: q\r\nProxy-Connection: keep-alive\r\nTE: trailers\r\nTrailer: x\r\nUpgrade: h2c\r\n",
      ),
    );
    const names = got.headers.map(([name]) => name);
    expect(names).toContain("x-t");
    for (const name of ["x-s", "connection", "keep-alive", "proxy-authorization", "proxy-connection", "te", "trailer", "upgrade"])
      expect(names).not.toContain(name);
  });

  test("the path is forwarded as it was matched", async () => {
    const got = await forwarded(get("", "/a/../p//%2f\\x"));
    expect(got.path).toBe("/a/../p//%2f\\x");
  });

  test("x-envoy headers of clients are not heard", async () => {
    const got = await forwarded(get("X-Envoy-Max-Retries: 9\r\nX-Envoy-Upstream-Rq-Timeout-Ms: 1\r\n"));
    expect(got.headers.map(([name]) => name)).not.toContain("x-envoy-max-retries");
  });

  test("an empty line before a request is skipped", async () => {
    await forwarded(`\r\n${get()}`);
  });

  test("a head in single bytes", async () => {
    await forwarded([...get("X: y\r\n")]);
  });

  test("Expect: 100-continue is answered before the body comes", async () => {
    const socket = connect(plane.port, "127.0.0.1");
    socket.write(post("Expect: 100-continue\r\nContent-Length: 2\r\n"));
    const first = await new Promise<string>((resolve) => socket.once("data", (data) => resolve(data.toString())));
    expect(first).toBe("HTTP/1.1 100 Continue\r\n\r\n");
    socket.write("hi");
    const second = await new Promise<string>((resolve) => socket.once("data", (data) => resolve(data.toString())));
    expect(second).toMatch(/^HTTP\/1.1 200 OK/);
    expect(second).toContain('"body":"hi"');
    socket.destroy();
  });

  test("a hundred pipelined requests are answered in order", async () => {
    const socket = connect(plane.port, "127.0.0.1");
    let text = "";
    socket.on("data", (data) => {
      text += data.toString("latin1");
    });
    socket.write(Array.from({ length: 100 }, (_, index) => get("", `/p${index}`)).join(""));
    await expect.poll(() => (text.match(/"path"/g) ?? []).length).toBe(100);
    expect([...text.matchAll(/"path":"\/p(\d+)"/g)].map((each) => Number(each[1]))).toEqual(
      Array.from({ length: 100 }, (_, index) => index),
    );
    socket.destroy();
  });

  test("a hundred thousand tiny chunks", async () => {
    const got = await forwarded(chunked(`${"1\r\nx\r\n".repeat(100_000)}0\r\n\r\n`));
    expect(got.body.length).toBe(100_000);
  });
});

describe("a body that breaks off", () => {
  test.each([
    ["in its length", post("Content-Length: 10\r\n", "hi")],
    ["in a chunk", chunked("5\r\nhi")],
    ["malformed after a good chunk", chunked("2\r\nhi\r\nzz\r\n")],
  ])("%s resets the upstream and is no request there", async (_, bytes) => {
    upstream.requests.length = 0;
    const before = upstream.accepted;
    const socket = connect(plane.port, "127.0.0.1");
    socket.on("error", () => undefined);
    socket.write(bytes);
    await delay(60);
    socket.destroy();
    await expect.poll(() => plane.plane.stats()["cluster.a.upstream_rq_active"]).toBe(0);
    expect(upstream.requests).toEqual([]);
    expect(upstream.accepted).toBeGreaterThanOrEqual(before);
  });
});

describe("slow clients", () => {
  test("a head that does not come to its end is answered with 408", async () => {
    await using slow = await serve([
      staticCluster("a", [upstream.port]),
      routeConfig([allTo("a")]),
      listener(0, { requestHeadersTimeout: { nanos: 150_000_000 } }),
    ]);
    const response = await rawRequest(slow.port, ["GET /p HTTP/1.1\r\n", "Host: a\r\n"], { closeWaitMs: 15_000 });
    expect(response?.status).toBe(408);
    expect(response?.isClosed).toBe(true);
  });

  test("an idle connection is closed", async () => {
    await using slow = await serve([
      staticCluster("a", [upstream.port]),
      routeConfig([allTo("a")]),
      listener(0, { commonHttpProtocolOptions: { idleTimeout: { nanos: 500_000_000 } } }),
    ]);
    const response = await rawRequest(slow.port, get(), { closeWaitMs: 15_000 });
    expect(response?.status).toBe(200);
    expect(response?.isClosed).toBe(true);
  });

  test("a body that stops coming is answered with 408", async () => {
    await using slow = await serve([
      staticCluster("a", [upstream.port]),
      routeConfig([allTo("a")]),
      listener(0, { streamIdleTimeout: { nanos: 150_000_000 } }),
    ]);
    const response = await rawRequest(slow.port, post("Content-Length: 10\r\n", "hi"), { closeWaitMs: 15_000 });
    expect(response?.status).toBe(408);
    expect(response?.isClosed).toBe(true);
  });
});
