// Requests that both planes are asked: fixed ones for each rule, and random ones.

import fc from "fast-check";

const host = "a.example";

export function request(line: string, headers: readonly string[] = [], body = "", hostHeader = host): string {
  return `${line} HTTP/1.1\r\nHost: ${hostHeader}\r\n${headers.map((each) => `${each}\r\n`).join("")}\r\n${body}`;
}

/** A request whose upstream gives this answer, byte for byte. */
export function answeredWith(path: string, answer: string, headers: readonly string[] = []): string {
  return request(`GET ${path}`, [`X-Answer: ${Buffer.from(answer, "latin1").toString("base64")}`, ...headers]);
}

export const fixedRequests: Readonly<Record<string, string>> = {
  get: request("GET /ok?a=b"),
  head: request("HEAD /ok"),
  "POST without content": request("POST /ok"),
  "PUT without content": request("PUT /ok"),
  "PATCH without content": request("PATCH /ok"),
  "DELETE without content": request("DELETE /ok"),
  "POST with a length": request("POST /ok", ["Content-Length: 2"], "hi"),
  "POST with an odd length": request("POST /ok", ["Content-Length: 002"], "hi"),
  "POST chunked": request("POST /ok", ["Transfer-Encoding: chunked"], "2\r\nhi\r\n0\r\n\r\n"),
  "GET with content": request("GET /ok", ["Content-Length: 2"], "hi"),
  "OPTIONS *": request("OPTIONS *"),
  "no route": request("GET /none"),
  "no route, with content": request("POST /none", ["Content-Length: 2"], "hi"),
  "no virtual host": request("GET /ok", [], "", "other.example"),
  "direct response": request("GET /direct"),
  "direct response to HEAD": request("HEAD /direct"),
  "direct response without body": request("GET /zero"),
  "redirect to https": request("GET /https/x?y=1"),
  "redirect to https, default port": request("GET /https/x?y=1", [], "", "a.example:80"),
  "redirect to a host and path": request("GET /moved/x?y=1"),
  "redirect to a port": request("GET /port/x?y=1", [], "", "a.example:8080"),
  "redirect with a prefix": request("GET /swap/x?y=1"),
  "redirect by regex": request("GET /numbers/12/x?y=1"),
  "cluster by header, absent": request("GET /byheader"),
  "cluster by header, unknown": request("GET /byheader", ["X-Cluster: zzz"]),
  "cluster by header": request("GET /byheader", ["X-Cluster: b"]),
  "nobody listens": request("GET /dead"),
  "no endpoints": request("GET /empty"),
  "too slow": request("GET /slow"),
  "too slow, with content": request("POST /slow", ["Content-Length: 2"], "hi"),
  "prefix and host rewritten": request("GET /rewrite/a?b=c"),
  "path rewritten by regex": request("GET /items/12/parts/7?q=1"),
  "headers added and removed": request("GET /headers?x", ["X-Gone: 1", "X-Over: old", "X-More: 1", "X-There: 1"]),
  "connection closes": request("GET /ok", ["Connection: close"]),
  "what a client may not say": request("GET /ok", [
    "X-Forwarded-For: 1.2.3.4",
    "X-Forwarded-Proto: https",
    "X-Envoy-Internal: true",
    "X-Envoy-Max-Retries: 2",
    "X-Envoy-Retry-On: 5xx",
    "X-Envoy-Upstream-Rq-Timeout-Ms: 9",
    "X-Envoy-Original-Path: /z",
    "X-Envoy-Decorator-Operation: q",
    "X-Envoy-Foo: 1",
    "X-Request-Id: abc",
    "X-Forwarded-Client-Cert: q",
  ]),
  "several forwarded addresses": request("GET /ok", ["X-Forwarded-For: 1.2.3.4, 5.6.7.8", "X-Forwarded-For: ::1"]),
  "hop-by-hop headers": request("GET /ok", [
    "TE: trailers",
    "Trailer: x",
    "Proxy-Authorization: q",
    "Keep-Alive: 3",
    "Proxy-Connection: close",
  ]),
  "nominated headers": request("GET /ok", ["Connection: keep-alive, x-s", "X-S: 1", "X-T: 2"]),
  "repeated headers": request("GET /ok", ["Cookie: a=1", "Cookie: b=2", "Accept: a", "Accept: b", "X-Empty:", "X-Latin: \xe9\xff"]),
  "expects to continue": request("POST /ok", ["Expect: 100-continue", "Content-Length: 2"], "hi"),
  "expects something else": request("GET /ok", ["Expect: zzz"]),
  "dots, slashes and escapes": request("GET /ok/../ok/./%2e%2e/ok//a%2fb%41%7e\\c"),
  "up and away": request("GET /../../ok/.."),
  "absolute form": "GET http://a.example/ok?x HTTP/1.1\r\nHost: other.example\r\n\r\n",
  "absolute form without path": "GET http://a.example HTTP/1.1\r\nHost: other.example\r\n\r\n",
  "absolute form of https": "GET https://a.example/ok HTTP/1.1\r\nHost: other.example\r\n\r\n",
  "two lengths": request("POST /ok", ["Content-Length: 2", "Content-Length: 2"], "hi"),
  "length and chunked": request("POST /ok", ["Content-Length: 2", "Transfer-Encoding: chunked"], "0\r\n\r\n"),
  "bad header": request("GET /ok", ["X Y: 1"]),
  "no colon": request("GET /ok", ["XY"]),
  "head too large": request("GET /ok", [`x: ${"a".repeat(70_000)}`]),
  "too many headers": request(
    "GET /ok",
    Array.from({ length: 200 }, (_, index) => `x${index}: 1`),
  ),
  trace: request("TRACE /ok"),
  "other coding": request("POST /ok", ["Transfer-Encoding: gzip, chunked"]),
  "unknown method": request("FOO /ok"),
  "no Host": "GET /ok HTTP/1.1\r\n\r\n",
  "two Hosts": request("GET /ok", ["Host: b.example"]),
  "empty Host": "GET /ok HTTP/1.1\r\nHost:\r\n\r\n",
  "Host in capitals, with port": request("GET /ok", [], "", "A.Example:1234"),
  "HTTP/1.0": "GET /ok HTTP/1.0\r\nHost: a.example\r\n\r\n",
  "HTTP/1.0 kept": "GET /ok HTTP/1.0\r\nHost: a.example\r\nConnection: keep-alive\r\n\r\n",
  "HTTP/1.0 without Host": "GET /ok HTTP/1.0\r\n\r\n",
  "upgrade that is not allowed": request("GET /ok", ["Connection: upgrade", "Upgrade: foo"]),
  "upgrade to h2c": request("GET /ok", ["Connection: upgrade", "Upgrade: h2c"]),
  "retried until it works": request("GET /retry", ["X-Flaky: 1"]),
  "retried in vain": answeredWith("/retry", "HTTP/1.1 503 No\r\nContent-Length: 2\r\n\r\nno"),
  "rate limited by an Envoy behind": answeredWith("/retry", "HTTP/1.1 503 No\r\nx-envoy-ratelimited: true\r\nContent-Length: 2\r\n\r\nno"),
  "retried with content": request("POST /retry", ["X-Flaky: 1", "Content-Length: 2"], "hi"),
  "answer with odd headers": answeredWith(
    "/ok",
    "HTTP/1.1 200 Fine\r\nContent-Length: 0\r\nServer: foo\r\nX-Envoy-Upstream-Service-Time: 99\r\nX-Envoy-Foo: 1\r\nX-Request-Id: 2\r\nKeep-Alive: 5\r\nConnection: keep-alive\r\nProxy-Authenticate: z\r\nX-Envoy-Attempt-Count: 3\r\nVia: a\r\nSet-Cookie: a\r\nSet-Cookie: b\r\n\r\n",
  ),
  "answer in chunks": answeredWith("/ok", "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n2\r\nhi\r\n0\r\nX-T: 1\r\n\r\n"),
  "answer 204": answeredWith("/ok", "HTTP/1.1 204 No\r\n\r\n"),
  "answer 304": answeredWith("/ok", "HTTP/1.1 304 No\r\nContent-Length: 5\r\n\r\n"),
  "answer 204 with content": answeredWith("/ok", "HTTP/1.1 204 No\r\nContent-Length: 2\r\n\r\nhi"),
  "answer 101 unasked": answeredWith("/ok", "HTTP/1.1 101 Sw\r\nConnection: upgrade\r\nUpgrade: websocket\r\n\r\n"),
  "answer after 100": answeredWith("/ok", "HTTP/1.1 100 C\r\n\r\nHTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n"),
  "answer after 103": answeredWith("/ok", "HTTP/1.1 103 C\r\nLink: x\r\n\r\nHTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n"),
  "answer with two framings": answeredWith("/ok", "HTTP/1.1 200 OK\r\nContent-Length: 2\r\nTransfer-Encoding: chunked\r\n\r\n"),
  "answer that is none": answeredWith("/ok", "hello\r\n\r\n"),
  "answer 503": answeredWith("/ok", "HTTP/1.1 503 X\r\nContent-Length: 2\r\n\r\nno"),
  "answer redirects": answeredWith("/ok", "HTTP/1.1 302 X\r\nLocation: http://169.254.169.254/\r\nContent-Length: 0\r\n\r\n"),
};

const segment = fc.constantFrom("api", "v1", "pets", "12", "x.y", "API", "a%20b", "");
const path = fc.array(segment, { maxLength: 4 }).map((parts) => `/${parts.join("/")}`);
const query = fc.constantFrom("", "?", "?k=v", "?k=w&debug", "?debug=&k=v&k=w", "?%6b=v");

/** Requests that meet what {@link file://./configs.ts} matches on. */
export const randomRequest: fc.Arbitrary<string> = fc
  .record({
    method: fc.constantFrom("GET", "GET", "POST", "PUT", "DELETE", "OPTIONS"),
    path,
    query,
    host: fc.constantFrom(
      "a.example",
      "A.example",
      "b.example:8080",
      "x.wild.example",
      "y.x.wild.example",
      "wild.example",
      "pre.fix",
      "pre.other",
      "none",
    ),
    headers: fc.array(
      fc.constantFrom("X-User: alice", "X-User: bob", "X-Version: 12", "X-Version: -3", "X-Empty:", "X-User: alice2", "Cookie: s=1; t=2"),
      {
        maxLength: 3,
      },
    ),
    body: fc.constantFrom("", "hi"),
  })
  .map((each) => {
    const hasBody = each.body !== "" && each.method !== "GET";
    const headers = [...new Set(each.headers), ...(hasBody ? [`Content-Length: ${each.body.length}`] : [])];
    return request(`${each.method} ${each.path}${each.query}`, headers, hasBody ? each.body : "", each.host);
  });
