// httpConnectionManagerSettings of a listener.
import { deepEqual, equal, match, ok } from "node:assert/strict";
import { type ClientHttp2Session, connect as http2 } from "node:http2";
import { request as https } from "node:https";
import { type OptionCase, object, route, type Seen } from "../option-case.ts";

/** Writes the address that counts as the client's into a header. */
const client = {
  headerManipulation: {
    requestHeadersToAdd: [{ header: { key: "x-client", value: "%DOWNSTREAM_REMOTE_ADDRESS_WITHOUT_PORT%" } }],
  },
};
const get = (path: string, host: string, more = "") => `GET ${path} HTTP/1.1\r\nhost: ${host}\r\n${more}\r\n`;
const closing = "connection: close\r\n";
const milliseconds = async (work: () => Promise<unknown>): Promise<number> => {
  const begin = performance.now();
  await work();
  return performance.now() - begin;
};
const head = /\r\n\r\n/;

async function session<T>({ port }: Seen, work: (session: ClientHttp2Session) => Promise<T>): Promise<T> {
  const opened = http2(`http://127.0.0.1:${port}`);
  try {
    return await work(opened);
  } finally {
    opened.destroy();
  }
}

function tlsSecret(name: string, { leaf, authority }: Seen["servers"]["tls"]): object {
  const stringData = { "tls.crt": leaf.certificate, "tls.key": leaf.key, "ca.crt": authority.certificate };
  return { apiVersion: "v1", kind: "Secret", metadata: { name, namespace: name }, type: "kubernetes.io/tls", stringData };
}

/** An Upstream that writes HTTP/1 as it is said here. */
const upstreamWith =
  (http1ProtocolOptions: object) =>
  ({ name, servers }: { name: string; servers: Seen["servers"] }) => ({
    objects: [
      object("Upstream", name, name, {
        static: { hosts: [{ addr: "127.0.0.1", port: servers.echo.port }] },
        connectionConfig: { http1ProtocolOptions },
      }),
    ],
    routes: [route({}, { routeAction: { single: { upstream: { name, namespace: name } } } })],
  });

export const connectionManager: readonly OptionCase[] = [
  {
    fact: "the client's address is that of the connection, whatever the header says, and is appended to it",
    options: ["hcm.useRemoteAddress"],
    given: { hcm: { useRemoteAddress: true }, route: client },
    async observe({ ask }) {
      const { headers } = (await ask("/", { headers: { "x-forwarded-for": "1.1.1.1" } })).received;
      equal(headers["x-client"], "127.0.0.1");
      // Of a client on the same machine, Envoy writes the address of the machine.
      match(headers["x-forwarded-for"] ?? "", /^1\.1\.1\.1,[\d.]+$/);
    },
  },
  {
    fact: "the client's address is not appended",
    options: ["hcm.skipXffAppend"],
    given: { hcm: { useRemoteAddress: true, skipXffAppend: true } },
    observe: async ({ ask }) =>
      equal((await ask("/", { headers: { "x-forwarded-for": "1.1.1.1" } })).received.headers["x-forwarded-for"], "1.1.1.1"),
  },
  {
    fact: "the client's address is as many hops from the right",
    options: ["hcm.xffNumTrustedHops"],
    given: { hcm: { xffNumTrustedHops: 1 }, route: client },
    observe: async ({ ask }) =>
      equal((await ask("/", { headers: { "x-forwarded-for": "1.1.1.1, 2.2.2.2" } })).received.headers["x-client"], "1.1.1.1"),
  },
  {
    fact: "via is set on the way in and out",
    options: ["hcm.via"],
    given: { hcm: { via: "edge" } },
    async observe({ ask }) {
      const { headers, received } = await ask();
      deepEqual([received.headers.via, headers.via], ["edge", "edge"]);
    },
  },
  {
    fact: "no x-request-id is made",
    options: ["hcm.generateRequestId"],
    given: { hcm: { generateRequestId: false } },
    observe: async ({ ask }) => equal((await ask()).received.headers["x-request-id"], undefined),
  },
  {
    fact: "x-request-id from outside is kept",
    options: ["hcm.preserveExternalRequestId"],
    given: { hcm: { preserveExternalRequestId: true, useRemoteAddress: true } },
    observe: async ({ ask }) => equal((await ask("/", { headers: { "x-request-id": "mine" } })).received.headers["x-request-id"], "mine"),
  },
  {
    fact: "x-request-id does not say why a request is traced",
    options: ["hcm.uuidRequestIdConfig"],
    given: {
      hcm: {
        preserveExternalRequestId: true,
        useRemoteAddress: true,
        uuidRequestIdConfig: { packTraceReason: false },
        tracing: { zipkinConfig: { collectorUpstreamRef: { name: "other", namespace: "shared" }, collectorEndpoint: "/ignored" } },
      },
    },
    async observe({ ask }) {
      const id = "a1b2c3d4-0000-4000-8000-000000000000";
      equal((await ask("/", { headers: { "x-request-id": id } })).received.headers["x-request-id"], id);
    },
  },
  {
    fact: "Expect: 100-continue goes to the endpoint",
    options: ["hcm.proxy100Continue"],
    given: { hcm: { proxy100Continue: true } },
    async observe({ raw, host }) {
      const asked = `POST / HTTP/1.1\r\nhost: ${host}\r\nexpect: 100-continue\r\ncontent-length: 0\r\n${closing}\r\n`;
      ok(/"expect":"100-continue"/.test(await raw(asked)));
    },
  },
  {
    fact: "a request on which nothing moves is ended",
    options: ["hcm.streamIdleTimeout"],
    given: { hcm: { streamIdleTimeout: "0.1s" } },
    observe: async ({ ask }) => equal((await ask("/delay/5000")).status, 504),
  },
  {
    fact: "a connection without a request is closed",
    options: ["hcm.idleTimeout"],
    given: { hcm: { idleTimeout: "1s" } },
    async observe({ raw, host }) {
      ok((await raw(get("/", host))).startsWith("HTTP/1.1 200"));
    },
  },
  {
    fact: "larger headers are 431",
    options: ["hcm.maxRequestHeadersKb"],
    given: { hcm: { maxRequestHeadersKb: 2 } },
    async observe({ ask }) {
      equal((await ask("/", { headers: { "x-large": "a".repeat(3000) } })).status, 431);
      equal((await ask("/", { headers: { "x-large": "a".repeat(1000) } })).status, 200);
    },
  },
  {
    fact: "more headers are 431",
    options: ["hcm.maxHeadersCount"],
    given: { hcm: { maxHeadersCount: 10 } },
    async observe({ ask }) {
      const headers = Object.fromEntries(Array.from({ length: 12 }, (_, i) => [`x-${i}`, "a"]));
      equal((await ask("/", { headers })).status, 431);
      equal((await ask("/")).status, 200);
    },
  },
  {
    fact: "a request that does not come to its end is 408",
    options: ["hcm.requestTimeout"],
    given: { hcm: { requestTimeout: "0.2s" } },
    async observe({ raw, host }) {
      ok((await raw(`POST / HTTP/1.1\r\nhost: ${host}\r\ncontent-length: 9\r\n\r\nhalf`, head)).startsWith("HTTP/1.1 408"));
    },
  },
  {
    fact: "headers that do not come to their end are 408",
    options: ["hcm.requestHeadersTimeout"],
    given: { hcm: { requestHeadersTimeout: "0.2s" } },
    async observe({ raw, host }) {
      ok((await raw(`GET / HTTP/1.1\r\nhost: ${host}\r\n`, head)).startsWith("HTTP/1.1 408"));
    },
  },
  {
    fact: "a connection is drained when it is old, and closed when drained",
    options: ["hcm.maxConnectionDuration", "hcm.drainTimeout"],
    given: { hcm: { maxConnectionDuration: "0.3s", drainTimeout: "0.1s" } },
    // Draining takes five seconds by default.
    observe: async ({ raw, host }) => ok((await milliseconds(() => raw(get("/", host)))) < 4500),
  },
  {
    fact: "after the last answer the client is given time to close",
    options: ["hcm.delayedCloseTimeout"],
    given: { hcm: { delayedCloseTimeout: "2s" } },
    observe: async ({ raw }) => ok((await milliseconds(() => raw("no request at all\r\n\r\n"))) > 1900),
  },
  {
    fact: "the server header is as written",
    options: ["hcm.serverName"],
    given: { hcm: { serverName: "shop" } },
    observe: async ({ ask }) => equal((await ask("/headers?server=theirs")).headers.server, "shop"),
  },
  {
    fact: "the server header of the endpoint is kept",
    options: ["hcm.serverHeaderTransformation"],
    given: { hcm: { serverHeaderTransformation: "PASS_THROUGH" } },
    observe: async ({ ask }) => equal((await ask("/headers?server=theirs")).headers.server, "theirs"),
  },
  {
    fact: "the port is taken off the Host header",
    options: ["hcm.stripAnyHostPort"],
    given: { hcm: { stripAnyHostPort: true } },
    observe: async ({ ask, host }) => equal((await ask("/", { host: `${host}:1234` })).received.headers.host, host),
  },
  {
    fact: "HTTP/1.0 is served, with a host of its own where there is none",
    options: ["hcm.acceptHttp10", "hcm.defaultHostForHttp10"],
    given: ({ host }) => ({ hcm: { acceptHttp10: true, defaultHostForHttp10: host } }),
    async observe({ raw, host }) {
      const text = await raw("GET / HTTP/1.0\r\n\r\n");
      ok(/^HTTP\/1\.[01] 200/.test(text) && text.includes(`"host":"${host}"`), text);
    },
  },
  {
    fact: "content-length beside transfer-encoding is ignored",
    options: ["hcm.allowChunkedLength"],
    given: { hcm: { allowChunkedLength: true } },
    async observe({ raw, host }) {
      const asked = `POST / HTTP/1.1\r\nhost: ${host}\r\n${closing}content-length: 3\r\ntransfer-encoding: chunked\r\n\r\n5\r\nhello\r\n0\r\n\r\n`;
      const text = await raw(asked);
      ok(text.startsWith("HTTP/1.1 200") && text.includes('"body":"hello"'), text);
    },
  },
  {
    fact: "trailers are passed on",
    options: ["hcm.enableTrailers"],
    given: (place) => ({ hcm: { enableTrailers: true }, ...upstreamWith({ enableTrailers: true })(place) }),
    async observe({ raw, host }) {
      const asked = `POST / HTTP/1.1\r\nhost: ${host}\r\n${closing}transfer-encoding: chunked\r\n\r\n1\r\na\r\n0\r\nx-trailer: b\r\n\r\n`;
      ok(/"trailers":\{"x-trailer":"b"\}/.test(await raw(asked)));
    },
  },
  {
    fact: "names of headers get capitals",
    options: ["hcm.properCaseHeaderKeyFormat"],
    given: { hcm: { properCaseHeaderKeyFormat: true } },
    observe: async ({ ask }) => ok((await ask()).rawHeaders.includes("Content-Type")),
  },
  {
    fact: "names of headers stay as the endpoint wrote them",
    options: ["hcm.preserveCaseHeaderKeyFormat"],
    given: (place) => ({
      hcm: { preserveCaseHeaderKeyFormat: true },
      ...upstreamWith({ preserveCaseHeaderKeyFormat: true })(place),
    }),
    async observe({ ask }) {
      const answer = await ask("/headers?X-oDD=1", { headers: { "X-mINE": "1" } });
      ok(answer.rawHeaders.includes("X-oDD"));
      ok(answer.received.rawHeaders.includes("X-mINE"));
    },
  },
  {
    fact: "x-forwarded-client-cert is passed on",
    options: ["hcm.forwardClientCertDetails"],
    given: { hcm: { forwardClientCertDetails: "ALWAYS_FORWARD_ONLY" } },
    observe: async ({ ask }) =>
      equal((await ask("/", { headers: { "x-forwarded-client-cert": "By=me" } })).received.headers["x-forwarded-client-cert"], "By=me"),
  },
  {
    fact: "the endpoint is told whose certificate the client has",
    options: ["hcm.forwardClientCertDetails", "hcm.setCurrentClientCertDetails"],
    given: ({ name, host, servers }) => ({
      hcm: {
        forwardClientCertDetails: "SANITIZE_SET",
        setCurrentClientCertDetails: { subject: true, dns: true, uri: true, cert: true, chain: true },
      },
      gateway: { ssl: true },
      virtualService: { sslConfig: { secretRef: { name, namespace: name }, sniDomains: [host] } },
      objects: [tlsSecret(name, servers.tls)],
    }),
    async observe({ port, host, servers }) {
      const { authority, leaf } = servers.tls;
      const text = await new Promise<string>((resolve, reject) => {
        const tls = {
          ca: authority.certificate,
          cert: leaf.certificate,
          key: leaf.key,
          servername: host,
          checkServerIdentity: () => undefined,
        };
        const call = https({ host: "127.0.0.1", port, headers: { host }, agent: false, ...tls }, (response) => {
          let got = "";
          response.setEncoding("utf8").on("data", (chunk: string) => {
            got += chunk;
          });
          response.on("end", () => resolve(got));
        });
        call.on("error", reject).end();
      });
      const said: string = JSON.parse(text).headers["x-forwarded-client-cert"];
      for (const part of [/Subject="CN=leaf\.test"/, /DNS=leaf\.test/, /Cert="-----BEGIN/, /Chain="-----BEGIN/]) match(said, part);
    },
  },
  {
    fact: "WebSocket is off, and only CONNECT is on",
    options: ["hcm.upgrades"],
    given: { hcm: { upgrades: [{ websocket: { enabled: false } }] } },
    async observe({ raw, host }) {
      ok((await raw(get("/", host, "connection: upgrade\r\nupgrade: websocket\r\n"), head)).startsWith("HTTP/1.1 403"));
    },
  },
  {
    fact: "a request that lives longer is ended",
    options: ["hcm.maxStreamDuration"],
    given: { hcm: { maxStreamDuration: "0.1s" } },
    observe: async ({ ask }) => equal((await ask("/delay/5000")).status, 504),
  },
  {
    fact: "requests with an underscore in the name of a header are 400",
    options: ["hcm.headersWithUnderscoresAction"],
    given: { hcm: { headersWithUnderscoresAction: "REJECT_CLIENT_REQUEST" } },
    observe: async ({ ask }) => equal((await ask("/", { headers: { x_user: "me" } })).status, 400),
  },
  {
    fact: "headers with an underscore are dropped",
    options: ["hcm.headersWithUnderscoresAction"],
    given: { hcm: { headersWithUnderscoresAction: "DROP_HEADER" } },
    observe: async ({ ask }) => equal((await ask("/", { headers: { x_user: "me" } })).received.headers.x_user, undefined),
  },
  {
    fact: "a connection is closed after as many requests",
    options: ["hcm.maxRequestsPerConnection"],
    given: { hcm: { maxRequestsPerConnection: 2 } },
    async observe({ raw, host }) {
      const answers = await raw(get("/", host) + get("/", host) + get("/", host));
      equal(answers.match(/HTTP\/1\.1 200/g)?.length, 2);
    },
  },
  {
    fact: "paths with escaped slashes are 400",
    options: ["hcm.pathWithEscapedSlashesAction"],
    given: { hcm: { pathWithEscapedSlashesAction: "REJECT_REQUEST" } },
    observe: async ({ ask }) => equal((await ask("/a%2Fb")).status, 400),
  },
  {
    fact: "paths with escaped slashes go on with plain ones",
    options: ["hcm.pathWithEscapedSlashesAction"],
    given: { hcm: { pathWithEscapedSlashesAction: "UNESCAPE_AND_FORWARD" } },
    observe: async ({ ask }) => equal((await ask("/a%2Fb")).received.url, "/a/b"),
  },
  {
    fact: "several slashes become one",
    options: ["hcm.mergeSlashes"],
    given: { hcm: { mergeSlashes: true } },
    observe: async ({ ask }) => equal((await ask("/a//b")).received.url, "/a/b"),
  },
  {
    fact: "dots in the path stay; elsewhere they are resolved",
    options: ["hcm.normalizePath"],
    given: { hcm: { normalizePath: false } },
    async observe({ raw, host }) {
      ok((await raw(get("/a/../b", host, closing))).includes('"url":"/a/../b"'));
    },
  },
  {
    fact: "only HTTP/2 is spoken",
    options: ["hcm.codecType"],
    given: { hcm: { codecType: "HTTP2" } },
    async observe(seen) {
      ok(!(await seen.raw(get("/", seen.host, closing))).includes("HTTP/1.1 200"));
      equal(await status(seen), 200);
    },
  },
  {
    fact: "a client may have as many requests at the same time on a connection, in windows of these sizes",
    options: ["hcm.http2ProtocolOptions"],
    given: {
      hcm: { http2ProtocolOptions: { maxConcurrentStreams: 7, initialStreamWindowSize: 70000, initialConnectionWindowSize: 80000 } },
    },
    observe: (seen) =>
      session(seen, async (opened) => {
        await new Promise((resolve) => opened.once("remoteSettings", resolve));
        deepEqual([opened.remoteSettings.maxConcurrentStreams, opened.remoteSettings.initialWindowSize], [7, 70000]);
      }),
  },
  {
    fact: "clients at these addresses count as internal",
    options: ["hcm.internalAddressConfig"],
    given: { hcm: { useRemoteAddress: true, internalAddressConfig: { cidrRanges: [{ addressPrefix: "127.0.0.0", prefixLen: 8 }] } } },
    async observe({ ask }) {
      // Only an internal client may say so.
      equal((await ask("/delay/5000", { headers: { "x-envoy-upstream-rq-timeout-ms": "100" } })).status, 504);
      equal((await ask()).received.headers["x-envoy-internal"], "true");
    },
  },
  {
    fact: "clients at other addresses do not",
    options: ["hcm.internalAddressConfig"],
    given: { hcm: { useRemoteAddress: true, internalAddressConfig: { cidrRanges: [{ addressPrefix: "10.0.0.0", prefixLen: 8 }] } } },
    observe: async ({ ask }) =>
      equal((await ask("/", { headers: { "x-envoy-internal": "true" } })).received.headers["x-envoy-internal"], undefined),
  },
  {
    fact: "the endpoint is told the port of the listener",
    options: ["hcm.appendXForwardedPort"],
    given: { hcm: { appendXForwardedPort: true } },
    observe: async ({ ask, port }) => equal((await ask()).received.headers["x-forwarded-port"], `${port}`),
  },
  {
    fact: "headers change before the route is chosen",
    options: ["hcm.earlyHeaderManipulation"],
    given: {
      hcm: { earlyHeaderManipulation: { headersToAdd: [{ header: { key: "x-early", value: "yes" } }], headersToRemove: ["x-late"] } },
      routes: [
        {
          ...route({}, { directResponseAction: { status: 200, body: "early" } }),
          matchers: [
            {
              prefix: "/",
              headers: [
                { name: "x-early", value: "yes" },
                { name: "x-late", invertMatch: true },
              ],
            },
          ],
        },
        route(),
      ],
    },
    observe: async ({ ask }) => equal((await ask("/", { headers: { "x-late": "1" } })).body, "early"),
  },
];

function status(seen: Seen): Promise<number> {
  return session(
    seen,
    (opened) =>
      new Promise((resolve, reject) => {
        const stream = opened.request({ ":path": "/", ":authority": seen.host });
        stream.on("response", (headers) => resolve(headers[":status"] ?? 0)).on("error", reject);
        opened.on("error", reject);
      }),
  );
}
