import fc from "fast-check";
import { expect, test } from "vitest";
import { preparePath } from "../path.ts";
import { ChunkedDecoder } from "./chunked.ts";
import { headerName } from "./names.ts";
import { HeadFault, parseRequestHead } from "./request-head.ts";
import { parseResponseHead } from "./response-head.ts";

const limits = { maxHeaders: 100, acceptHttp10: true, underscores: "allow" as const };

function decode(text: string, cuts: readonly number[]): { body: string; rest: string } | "malformed" {
  const decoder = new ChunkedDecoder();
  const bytes = Buffer.from(text, "latin1");
  let body = "";
  let from = 0;
  for (const cut of [
    ...[...cuts]
      .sort((a, b) => a - b)
      .map((each) => each % (bytes.length + 1))
      .sort((a, b) => a - b),
    bytes.length,
  ]) {
    const part = bytes.subarray(from, cut);
    const end = decoder.read(part, 0, (data) => {
      body += data.toString("latin1");
    });
    if (end < 0) return "malformed";
    if (decoder.isDone) return { body, rest: text.slice(from + end) };
    from = cut;
  }
  return { body, rest: "(incomplete)" };
}

test("a chunked body is the same however it is cut", () => {
  fc.assert(
    fc.property(
      fc.array(fc.string({ unit: "grapheme-ascii", minLength: 1, maxLength: 20 }), { maxLength: 6 }),
      fc.array(fc.nat(400), { maxLength: 12 }),
      (pieces, cuts) => {
        const text = `${pieces.map((each) => `${each.length.toString(16)};ext=1\r\n${each}\r\n`).join("")}0\r\nX-Trailer: 1\r\n\r\nNEXT`;
        expect(decode(text, cuts)).toEqual({ body: pieces.join(""), rest: "NEXT" });
      },
    ),
    { numRuns: 1_000 },
  );
});

test("whatever comes in, the parsers answer and do not throw", () => {
  const bytes = fc.oneof(
    fc.string({ unit: "binary", maxLength: 300 }).map((each) => Buffer.from(each, "utf8").toString("latin1")),
    fc
      .array(
        fc.constantFrom(
          "GET",
          " ",
          "/p",
          "HTTP/1.1",
          "\r\n",
          "\r",
          "\n",
          "Host",
          ":",
          "a",
          "Content-Length",
          "1",
          "\0",
          "\x80",
          "Connection",
          ",",
          "200",
        ),
        { maxLength: 30 },
      )
      .map((each) => each.join("")),
  );
  fc.assert(
    fc.property(bytes, (text) => {
      const head = `${text}\r\n`;
      const request = parseRequestHead(head, limits);
      if (!(request instanceof HeadFault)) {
        // What is accepted says itself again in the same way.
        const again = `${request.method} ${request.path} HTTP/1.1\r\nHost: ${request.authority}\r\n${pairs(request.headers)}`;
        expect(parseRequestHead(again, limits)).toMatchObject({ method: request.method, path: request.path, headers: request.headers });
      }
      parseResponseHead(head, 100);
      decode(text, [1, 7]);
    }),
    { numRuns: 5_000 },
  );
});

function pairs(headers: readonly string[]): string {
  let text = "";
  for (let i = 0; i < headers.length; i += 2) text += `${headers[i]}: ${headers[i + 1]}\r\n`;
  return text;
}

test("a request head is taken apart", () => {
  expect(
    parseRequestHead(
      "POST /p?q HTTP/1.1\r\nHost: a:80\r\nX-One:  1 \r\nx-ONE:2\r\nConnection: Upgrade, close\r\nUpgrade: websocket\r\nContent-Length: 7\r\n",
      limits,
    ),
  ).toEqual({
    method: "POST",
    path: "/p?q",
    authority: "a:80",
    protocol: "HTTP/1.1",
    headers: ["x-one", "1", "x-one", "2"],
    contentLength: 7,
    isChunked: false,
    wantsClose: true,
    wantsKeepAlive: false,
    upgrade: "websocket",
    expectsContinue: false,
  });
});

test("names with underscores are refused or dropped where the configuration says so", () => {
  const head = "GET / HTTP/1.1\r\nHost: a\r\nx_y: 1\r\n";
  expect(parseRequestHead(head, { ...limits, underscores: "reject" })).toMatchObject({ status: 400 });
  expect(parseRequestHead(head, { ...limits, underscores: "drop" })).toMatchObject({ headers: [] });
});

test("a million different header names do not fill the memory", () => {
  for (let i = 0; i < 10_000; i++) expect(headerName(`X-${i}`)?.name).toBe(`x-${i}`);
  expect(headerName("constructor")).toEqual({ name: "constructor", code: 0 });
  expect(headerName("__proto__")).toEqual({ name: "__proto__", code: 0 });
});

test("paths are prepared as the connection manager says", () => {
  const rules = { normalizePath: true, mergeSlashes: true, escapedSlashes: "keep" as const };
  const prepared = (path: string, more = {}) => preparePath(path, { ...rules, ...more });
  expect(prepared("/a/../b/./c//d?x=//..")).toEqual({ kind: "ok", path: "/b/c/d?x=//.." });
  expect(prepared("/%61%2e%2e/%2e%2e/\\x")).toEqual({ kind: "ok", path: "/x" });
  expect(prepared("/../../..")).toEqual({ kind: "ok", path: "/" });
  expect(prepared("/a%2fb", { escapedSlashes: "reject" })).toEqual({ kind: "refused" });
  expect(prepared("/a%2Fb%5cc", { escapedSlashes: "forward" })).toEqual({ kind: "ok", path: "/a/b/c" });
  expect(prepared("/a%2fb?q", { escapedSlashes: "redirect" })).toEqual({ kind: "redirect", path: "/a/b?q" });
});
