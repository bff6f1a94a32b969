// What upstreams may answer and what clients see of it, over raw sockets. After each bad answer, the next request must get its own.

import { afterAll, beforeAll, beforeEach, describe, expect, test } from "vitest";
import { echo, type RawUpstream, rawRequest, rawUpstream } from "../testing/raw.ts";
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

beforeEach(() => {
  upstream.answer = echo;
});

const get = (path: string) => `GET ${path} HTTP/1.1\r\nHost: a\r\n\r\n`;

async function ask(answer: string, path = "/bad") {
  upstream.answer = (request) => (request.path === "/bad" ? answer : echo(request));
  return rawRequest(plane.port, get(path), { closeWaitMs: 30 });
}

async function nextIsItsOwn(): Promise<void> {
  const response = await rawRequest(plane.port, get("/good"));
  expect(response?.status).toBe(200);
  expect(JSON.parse(response?.body ?? "{}")).toMatchObject({ path: "/good" });
}

const head = "HTTP/1.1 200 OK\r\n";

describe("answered with 502:", () => {
  test.each([
    ["Content-Length and Transfer-Encoding", `${head}Content-Length: 2\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n`],
    ["Content-Length twice", `${head}Content-Length: 2\r\nContent-Length: 2\r\n\r\nhi`],
    ["Content-Length -2", `${head}Content-Length: -2\r\n\r\nhi`],
    ["NUL in a header", `${head}X: a\0b\r\nContent-Length: 0\r\n\r\n`],
    ["2,000 headers", `${head}${Array.from({ length: 2_000 }, (_, index) => `x${index}: 1\r\n`).join("")}\r\n`],
    ["a header of 100 KB", `${head}X: ${"a".repeat(100_000)}\r\nContent-Length: 0\r\n\r\n`],
    ["no status line", "hello\r\n\r\n"],
    ["status 99", "HTTP/1.1 99 X\r\nContent-Length: 0\r\n\r\n"],
    ["status 1000", "HTTP/1.1 1000 X\r\nContent-Length: 0\r\n\r\n"],
    ["an unknown Transfer-Encoding", `${head}Transfer-Encoding: foo\r\n\r\n`],
    ["a bare CR in a header", `${head}X: a\rb\r\nContent-Length: 0\r\n\r\n`],
    ["a folded header", `${head}X: a\r\n b\r\nContent-Length: 0\r\n\r\n`],
    ["a bare LF in a header", `${head}X: a\nY: b\r\nContent-Length: 0\r\n\r\n`],
    ["204 with a body", "HTTP/1.1 204 No\r\nContent-Length: 2\r\n\r\nhi"],
    ["101 unasked", "HTTP/1.1 101 Switching\r\nConnection: upgrade\r\nUpgrade: websocket\r\n\r\n"],
    ["5,000 × 100", `${"HTTP/1.1 100 Continue\r\n\r\n".repeat(5_000)}${head}Content-Length: 0\r\n\r\n`],
  ])("%s", async (_, answer) => {
    expect((await ask(answer))?.status).toBe(502);
    await nextIsItsOwn();
  });
});

describe("a response that breaks off is not whole for the client:", () => {
  test.each([
    ["in its length", `${head}Content-Length: 10\r\n\r\nhi`],
    ["in a chunk", `${head}Transfer-Encoding: chunked\r\n\r\n5\r\nhi`],
    ["between chunks", `${head}Transfer-Encoding: chunked\r\n\r\n2\r\nhi\r\n`],
  ])("%s", async (_, answer) => {
    upstream.answer = (request, socket) => {
      if (request.path !== "/bad") return echo(request);
      socket.end(answer, "latin1");
      return undefined;
    };
    const response = await rawRequest(plane.port, get("/bad"), { closeWaitMs: 15_000 });
    expect(response?.isClosed).toBe(true);
    expect(response === undefined || !response.isWhole).toBe(true);
    await nextIsItsOwn();
  });

  test("by a bad chunk after the head", async () => {
    const response = await ask(`${head}Transfer-Encoding: chunked\r\n\r\n2\r\nhi\r\nzz\r\n`);
    expect(response === undefined || !response.isWhole).toBe(true);
    await nextIsItsOwn();
  });
});

test("bytes behind a response never answer the next request", async () => {
  const response = await ask(`${head}Content-Length: 2\r\n\r\nhiHTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nEVIL!`);
  expect(response?.body).toBe("hi");
  await nextIsItsOwn();
});

test("hop-by-hop headers stay here, but for Proxy-Authenticate", async () => {
  const response = await ask(
    `${head}Connection: keep-alive, x-s\r\nX-S: 1\r\nX-T: 2\r\nKeep-Alive: 5\r\nProxy-Authenticate: q\r\nContent-Length: 0\r\n\r\n`,
  );
  const names = response?.headers.map(([name]) => name);
  expect(names).toEqual(expect.arrayContaining(["x-t", "proxy-authenticate"]));
  expect(names).not.toContain("x-s");
  expect(names).not.toContain("keep-alive");
});

test("304 has no body, whatever its length says", async () => {
  const response = await ask("HTTP/1.1 304 Not Modified\r\nContent-Length: 5\r\n\r\n");
  expect(response?.status).toBe(304);
  await nextIsItsOwn();
});

test("103 is dropped, the response comes", async () => {
  const response = await ask(`HTTP/1.1 103 Early\r\nLink: x\r\n\r\n${head}Content-Length: 2\r\n\r\nhi`);
  expect(response?.text).not.toContain("103");
  expect(response?.body).toBe("hi");
});

test("a redirect to anywhere is passed, not followed", async () => {
  const response = await ask("HTTP/1.1 302 Found\r\nLocation: http://169.254.169.254/\r\nContent-Length: 0\r\n\r\n");
  expect(response?.status).toBe(302);
});

test("a response without framing ends with its connection and is whole", async () => {
  upstream.answer = (_, socket) => {
    socket.end(`${head}Connection: close\r\n\r\nhello`);
    return undefined;
  };
  const response = await rawRequest(plane.port, get("/bad"));
  expect(response?.body).toBe("hello");
  expect(response?.isWhole).toBe(true);
});

test("an upstream that resets instead of answering gives 503", async () => {
  upstream.answer = (_, socket) => {
    socket.resetAndDestroy();
    return undefined;
  };
  expect((await rawRequest(plane.port, get("/bad")))?.status).toBe(503);
});

test("a kept connection that the upstream closed under a request is not the client's problem", async () => {
  await nextIsItsOwn();
  let isFirst = true;
  upstream.answer = (request, socket) => {
    if (!isFirst) return echo(request);
    isFirst = false;
    socket.destroy();
    return undefined;
  };
  await nextIsItsOwn();
});
