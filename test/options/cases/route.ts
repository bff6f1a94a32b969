// Options of routes.
import { deepEqual, equal, ok } from "node:assert/strict";
import { type OptionCase, object, route, shared, to } from "../option-case.ts";

const seconds = async (work: () => Promise<unknown>): Promise<number> => {
  const begin = performance.now();
  await work();
  return (performance.now() - begin) / 1000;
};

export const routeOptions: readonly OptionCase[] = [
  {
    fact: "a response that takes longer is 504",
    options: ["route.timeout"],
    given: { route: { timeout: "1s" } },
    async observe({ ask }) {
      equal((await ask("/delay/5000")).status, 504);
      equal((await ask("/")).status, 200);
    },
  },
  {
    fact: "a request on which nothing moves is ended",
    options: ["route.idleTimeout"],
    given: { route: { idleTimeout: "0.1s", timeout: "0s" } },
    async observe({ ask }) {
      equal((await ask("/delay/5000")).status, 504);
    },
  },
  {
    fact: "a request that lives longer is ended, although bytes move",
    options: ["route.maxStreamDuration"],
    given: { route: { maxStreamDuration: { maxStreamDuration: "0.1s" }, timeout: "0s" } },
    async observe({ ask }) {
      equal((await ask("/delay/5000")).status, 504);
    },
  },
  {
    fact: "grpc-timeout of the client is the limit, up to a limit of its own",
    options: ["route.maxStreamDuration"],
    given: { route: { maxStreamDuration: { grpcTimeoutHeaderMax: "0.1s" }, timeout: "0s" } },
    async observe({ ask }) {
      const headers = { "grpc-timeout": "9S", "content-type": "application/grpc" };
      const { headers: answered, status } = await ask("/delay/5000", { method: "POST", headers });
      ok(status === 504 || answered["grpc-status"] === "4", `${status} ${answered["grpc-status"]}`);
    },
  },
  {
    fact: "a request that fails is tried again, as often as is written",
    options: ["route.retries"],
    given: { route: { retries: { retryOn: "5xx", numRetries: 2 } } },
    async observe({ ask, name }) {
      equal((await ask("/flaky/2")).status, 200);
      equal((await ask("/flaky/99", { headers: { "x-case": `${name} again` } })).status, 503);
    },
  },
  {
    fact: "each attempt has its limit, and statuses that are named count as failures",
    options: ["route.retries"],
    given: { route: { retries: { retryOn: "retriable-status-codes", retriableStatusCodes: [418], numRetries: 3, perTryTimeout: "1s" } } },
    async observe({ ask, servers, name }) {
      const asked = () => servers.echo.received.filter(({ headers }) => headers["x-case"] === name).length;
      equal((await ask("/status/418")).status, 418);
      equal(asked(), 4);
      ok((await seconds(() => ask("/delay/10000"))) < 8);
    },
  },
  {
    fact: "an attempt waits as long as the answer before it says",
    options: ["route.retries"],
    given: {
      route: {
        retries: {
          retryOn: "5xx",
          rateLimitedRetryBackOff: { resetHeaders: [{ name: "x-wait", format: "SECONDS" }], maxInterval: "5s" },
          retryBackOff: { baseInterval: "0.01s", maxInterval: "0.02s" },
        },
      },
    },
    async observe({ ask }) {
      ok((await seconds(async () => equal((await ask("/flaky/1?x-wait=1")).status, 200))) >= 0.99);
    },
  },
  {
    fact: "the prefix that the matcher fits is replaced",
    options: ["route.prefixRewrite"],
    given: { routes: [{ ...route({ options: { prefixRewrite: "/inner" } }), matchers: [{ prefix: "/outer" }] }] },
    observe: async ({ ask }) => equal((await ask("/outer/a?b=c")).received.url, "/inner/a?b=c"),
  },
  {
    fact: "what an expression finds in the path is replaced",
    options: ["route.regexRewrite"],
    given: { route: { regexRewrite: { pattern: { regex: "^/v(\\d+)/(.*)$" }, substitution: "/\\2/of/\\1" } } },
    observe: async ({ ask }) => equal((await ask("/v7/pets")).received.url, "/pets/of/7"),
  },
  {
    fact: "the Host header is as written, and the old one is kept where that is wanted",
    options: ["route.hostRewrite", "route.appendXForwardedHost"],
    given: { route: { hostRewrite: "inner.test", appendXForwardedHost: true } },
    async observe({ ask, host }) {
      const { headers } = (await ask()).received;
      equal(headers.host, "inner.test");
      equal(headers["x-forwarded-host"], host);
    },
  },
  {
    fact: "the Host header is the name of the endpoint",
    options: ["route.autoHostRewrite"],
    given: ({ name, servers }) => ({
      objects: [object("Upstream", name, name, { static: { hosts: [{ addr: "localhost", port: servers.echo.port }] } })],
      routes: [route({ options: { autoHostRewrite: true } }, { routeAction: { single: { upstream: { name, namespace: name } } } })],
    }),
    observe: async ({ ask }) => equal((await ask()).received.headers.host, "localhost"),
  },
  {
    fact: "the Host header is taken from another header",
    options: ["route.hostRewriteHeader"],
    given: { route: { hostRewriteHeader: "x-wanted-host" } },
    observe: async ({ ask }) =>
      equal((await ask("/", { headers: { "x-wanted-host": "wanted.test" } })).received.headers.host, "wanted.test"),
  },
  {
    fact: "the Host header is made of the path",
    options: ["route.hostRewritePathRegex"],
    given: { route: { hostRewritePathRegex: { pattern: { regex: "^/([^/?]+).*$" }, substitution: "\\1.test" } } },
    observe: async ({ ask }) => equal((await ask("/shop/a")).received.headers.host, "shop.test"),
  },
  {
    fact: "requests are answered with an error, at once",
    options: ["route.faults"],
    given: { route: { faults: { abort: { percentage: 100, httpStatus: 418 } } } },
    observe: async ({ ask }) => equal((await ask()).status, 418),
  },
  {
    fact: "requests are held back",
    options: ["route.faults"],
    given: { route: { faults: { delay: { percentage: 100, fixedDelay: "0.5s" } } } },
    observe: async ({ ask }) => ok((await seconds(() => ask())) >= 0.49),
  },
  {
    fact: "another Upstream gets a copy, under the name that is written",
    options: ["route.shadowing"],
    given: { route: { shadowing: { upstream: { name: "other", namespace: shared }, percentage: 100, hostRewriteLiteral: "copy.test" } } },
    async observe({ ask, servers, name, eventually }) {
      const { received } = await ask("/original");
      equal(received.server, "echo");
      const copy = () => servers.other.received.find(({ headers }) => headers["x-case"] === name);
      await eventually("the copy came", () => copy() !== undefined);
      equal(copy()?.url, "/original");
      equal(copy()?.headers.host, "copy.test");
    },
  },
  {
    fact: "a copy says by its name that it is one, unless it must not",
    options: ["route.shadowing"],
    given: {
      routes: [
        {
          ...route({ options: { shadowing: { upstream: { name: "other", namespace: shared }, percentage: 100 } } }),
          matchers: [{ prefix: "/a" }],
        },
        route({
          options: { shadowing: { upstream: { name: "other", namespace: shared }, percentage: 100, disableShadowHostSuffixAppend: true } },
        }),
      ],
    },
    async observe({ ask, servers, name, host, eventually }) {
      const copies = () => servers.other.received.filter(({ headers }) => headers["x-case"] === name);
      await ask("/a");
      await eventually("the first copy came", () => copies().length === 1);
      await ask("/b");
      await eventually("the second copy came", () => copies().length === 2);
      deepEqual(
        copies().map(({ headers }) => headers.host),
        [`${host}-shadow`, host],
      );
    },
  },
  {
    fact: "requests with the same header go to the same endpoint, others also elsewhere",
    options: ["route.lbHash"],
    given: { to: "ring", route: { lbHash: { hashPolicies: [{ header: "x-user", terminal: true }, { sourceIp: true }] } } },
    async observe({ ask }) {
      const serverOf = async (user: number) => (await ask("/", { headers: { "x-user": `${user}` } })).received.server;
      const first = await Promise.all(Array.from({ length: 24 }, (_, user) => serverOf(user)));
      const second = await Promise.all(Array.from({ length: 24 }, (_, user) => serverOf(user)));
      deepEqual(second, first);
      deepEqual([...new Set(first)].sort(), ["echo", "other"]);
    },
  },
  {
    fact: "a cookie for that is set, and keeps its client at an endpoint",
    options: ["route.lbHash"],
    given: { to: "ring", route: { lbHash: { hashPolicies: [{ cookie: { name: "at", ttl: "60s", path: "/x" } }] } } },
    async observe({ ask }) {
      const first = await ask();
      const [cookie = ""] = first.headers["set-cookie"] as string[];
      ok(/^at="?[0-9a-f]+"?; Max-Age=60; Path=\/x; HttpOnly$/.test(cookie), cookie);
      for (let i = 0; i < 6; i++)
        equal((await ask("/", { headers: { cookie: cookie.split(";")[0] as string } })).received.server, first.received.server);
    },
  },
  {
    fact: "WebSocket is off on the route that says so, and on beside it",
    options: ["route.upgrades"],
    given: {
      routes: [{ ...route({ options: { upgrades: [{ websocket: { enabled: false } }] } }), matchers: [{ prefix: "/off" }] }, route()],
    },
    async observe({ raw, host }) {
      const upgrade = (path: string) => `GET ${path} HTTP/1.1\r\nhost: ${host}\r\nconnection: upgrade\r\nupgrade: websocket\r\n\r\n`;
      ok((await raw(upgrade("/off"), /\r\n\r\n/)).startsWith("HTTP/1.1 403"));
      ok((await raw(upgrade("/on"), /\r\n\r\n/)).startsWith("HTTP/1.1 101"));
    },
  },
  {
    fact: "CONNECT is answered by the proxy, and its bytes go to the Upstream",
    options: ["route.upgrades", "hcm.upgrades"],
    given: {
      hcm: { upgrades: [{ connect: {} }] },
      domains: ["*"],
      routes: [{ matchers: [{ connectMatcher: {} }], routeAction: to("echo"), options: { upgrades: [{ connectTerminate: {} }] } }],
    },
    async observe({ raw }) {
      const text = await raw(
        "CONNECT any.test:80 HTTP/1.1\r\nhost: any.test:80\r\n\r\nGET /through HTTP/1.1\r\nhost: inner\r\nconnection: close\r\n\r\n",
      );
      ok(text.startsWith("HTTP/1.1 200 OK\r\n"), text);
      ok(text.includes('"url":"/through"'), text);
    },
  },
  {
    fact: "metadata is there for what writes about the route",
    options: ["route.envoyMetadata", "listener.accessLoggingService"],
    given: ({ folder }) => ({
      route: { envoyMetadata: { "shop.test": { team: "pets" } } },
      listener: {
        accessLoggingService: { accessLog: [{ fileSink: { path: `${folder}/log`, stringFormat: "%METADATA(ROUTE:shop.test:team)%\n" } }] },
      },
    }),
    async observe({ ask, folder, eventually }) {
      const { readFileSync } = await import("node:fs");
      await ask();
      await eventually("the log has it", () => readFileSync(`${folder}/log`, "utf8") === "pets\n");
    },
  },
];
