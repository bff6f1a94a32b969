// What clients may send and what they get for it, over raw sockets. The rows are those of the bad-input catalogue: a request that two parsers could
// read differently is refused, its connection ends, and the upstream hears nothing of it.

import { connect } from "node:net";
import { setTimeout as delay } from "node:timers/promises";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { chunked, get, post, refused } from "../testing/hostile.ts";
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
