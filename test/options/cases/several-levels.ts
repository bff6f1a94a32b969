// Options that are written at several levels: who wins, and what adds up.
import { deepEqual, equal, ok } from "node:assert/strict";
import { type OptionCase, object, route, shared } from "../option-case.ts";

const add = (key: string, value: string) => ({ header: { key, value } });
const weighted = (options: object) => ({
  multi: { destinations: [{ weight: 1, destination: { upstream: { name: "echo", namespace: shared } }, options }] },
});
const preflight = {
  method: "OPTIONS",
  headers: { origin: "https://app.test", "access-control-request-method": "PUT" },
};
const all = { filterEnabled: { defaultValue: { numerator: 100 } } };
const foreign = { method: "POST", headers: { origin: "https://evil.test" } };

export const severalLevels: readonly OptionCase[] = [
  {
    fact: "headers are added and removed at each level",
    options: ["virtualHost.headerManipulation", "route.headerManipulation", "weighted.headerManipulation"],
    given: {
      virtualHost: { headerManipulation: { requestHeadersToAdd: [add("x-host", "1")], responseHeadersToAdd: [add("x-host", "1")] } },
      routes: [
        route(
          {
            options: {
              headerManipulation: {
                requestHeadersToAdd: [add("x-route", "2")],
                requestHeadersToRemove: ["x-secret"],
                responseHeadersToRemove: ["x-inner"],
              },
            },
          },
          {
            routeAction: weighted({
              headerManipulation: { requestHeadersToAdd: [add("x-cluster", "3")], responseHeadersToAdd: [add("x-cluster", "3")] },
            }),
          },
        ),
      ],
    },
    async observe({ ask }) {
      const answer = await ask("/headers?x-inner=1", { headers: { "x-secret": "1" } });
      const { headers } = answer.received;
      deepEqual([headers["x-host"], headers["x-route"], headers["x-cluster"], headers["x-secret"]], ["1", "2", "3", undefined]);
      deepEqual([answer.headers["x-host"], answer.headers["x-cluster"], answer.headers["x-inner"]], ["1", "3", undefined]);
    },
  },
  {
    fact: "a header is appended, or replaced where append is false",
    options: ["route.headerManipulation"],
    given: {
      route: {
        headerManipulation: {
          requestHeadersToAdd: [add("x-more", "mine"), { ...add("x-only", "mine"), append: false }],
          responseHeadersToAdd: [{ ...add("x-only", "mine"), append: false }],
        },
      },
    },
    async observe({ ask }) {
      const answer = await ask("/headers?x-only=theirs", { headers: { "x-more": "theirs", "x-only": "theirs" } });
      deepEqual([answer.received.headers["x-more"], answer.received.headers["x-only"]], ["theirs, mine", "mine"]);
      equal(answer.headers["x-only"], "mine");
    },
  },
  {
    fact: "headers come from a secret",
    options: ["route.headerManipulation"],
    given: ({ name }) => ({
      objects: [
        {
          apiVersion: "v1",
          kind: "Secret",
          metadata: { name, namespace: name },
          type: "gloo.solo.io/header",
          stringData: { "x-api-key": "open sesame" },
        },
      ],
      route: { headerManipulation: { requestHeadersToAdd: [{ headerSecretRef: { name, namespace: name } }] } },
    }),
    observe: async ({ ask }) => equal((await ask()).received.headers["x-api-key"], "open sesame"),
  },
  {
    fact: "the header of the most specific level is the last one",
    options: ["routeConfiguration.mostSpecificHeaderMutationsWins"],
    given: {
      routeConfiguration: { mostSpecificHeaderMutationsWins: true },
      virtualHost: { headerManipulation: { requestHeadersToAdd: [{ ...add("x-level", "host"), append: false }] } },
      route: { headerManipulation: { requestHeadersToAdd: [{ ...add("x-level", "route"), append: false }] } },
    },
    observe: async ({ ask }) => equal((await ask()).received.headers["x-level"], "route"),
  },
  {
    fact: "without mostSpecificHeaderMutationsWins, the virtual host has the last word",
    options: ["virtualHost.headerManipulation"],
    given: {
      virtualHost: { headerManipulation: { requestHeadersToAdd: [{ ...add("x-level", "host"), append: false }] } },
      route: { headerManipulation: { requestHeadersToAdd: [{ ...add("x-level", "route"), append: false }] } },
    },
    observe: async ({ ask }) => equal((await ask()).received.headers["x-level"], "host"),
  },
  {
    fact: "a longer body is answered where the limit allows it",
    options: ["routeConfiguration.maxDirectResponseBodySizeBytes"],
    given: {
      routeConfiguration: { maxDirectResponseBodySizeBytes: 9000 },
      routes: [{ matchers: [{ prefix: "/" }], directResponseAction: { status: 200, body: "a".repeat(8000) } }],
    },
    observe: async ({ ask }) => equal((await ask()).body.length, 8000),
  },
  {
    fact: "a browser is told who may call and how; the route's policy wins",
    options: ["virtualHost.cors", "route.cors"],
    given: {
      virtualHost: {
        cors: {
          allowOrigin: ["https://app.test"],
          allowMethods: ["PUT"],
          allowHeaders: ["x-a"],
          exposeHeaders: ["x-b"],
          maxAge: "60",
          allowCredentials: true,
        },
      },
      routes: [
        {
          ...route({ options: { cors: { allowOriginRegex: ["https://.*\\.route"], allowMethods: ["DELETE"] } } }),
          matchers: [{ prefix: "/own" }],
        },
        { ...route({ options: { cors: { disableForRoute: true } } }), matchers: [{ prefix: "/off" }] },
        route(),
      ],
    },
    async observe({ ask }) {
      const { status, headers } = await ask("/", preflight);
      equal(status, 200);
      deepEqual(
        ["origin", "methods", "headers", "credentials"]
          .map((each) => headers[`access-control-allow-${each}`])
          .concat(headers["access-control-max-age"]),
        ["https://app.test", "PUT", "x-a", "true", "60"],
      );
      equal((await ask("/", { headers: { origin: "https://app.test" } })).headers["access-control-expose-headers"], "x-b");
      equal((await ask("/own", preflight)).headers["access-control-allow-methods"], undefined);
      const own = { ...preflight, headers: { ...preflight.headers, origin: "https://any.route" } };
      equal((await ask("/own", own)).headers["access-control-allow-methods"], "DELETE");
      equal((await ask("/off", preflight)).headers["access-control-allow-methods"], undefined);
    },
  },
  {
    fact: "an answer of the gateway's own tells the policy as it is written",
    options: ["route.cors"],
    given: {
      routes: [
        route(
          { options: { cors: { allowOrigin: ["https://app.test"], exposeHeaders: ["x-100%", "%NOPE%"], maxAge: "60" } } },
          { directResponseAction: { status: 200, body: "here" } },
        ),
      ],
    },
    async observe({ ask }) {
      const { headers } = await ask();
      deepEqual(
        [headers["access-control-allow-origin"], headers["access-control-expose-headers"], headers["access-control-max-age"]],
        ["https://app.test", "x-100%,%NOPE%", "60"],
      );
    },
  },
  {
    fact: "exposed headers of both levels are joined",
    options: ["virtualHost.corsPolicyMergeSettings"],
    given: {
      virtualHost: {
        cors: { allowOrigin: ["https://app.test"], exposeHeaders: ["x-host"] },
        corsPolicyMergeSettings: { exposeHeaders: "UNION" },
      },
      route: { cors: { allowOrigin: ["https://app.test"], exposeHeaders: ["x-route"] } },
    },
    observe: async ({ ask }) =>
      equal((await ask("/", { headers: { origin: "https://app.test" } })).headers["access-control-expose-headers"], "x-host,x-route"),
  },
  {
    fact: "a change that comes from elsewhere is refused, on the whole listener, and where more is allowed it is not",
    options: ["http.csrf"],
    given: {
      http: { csrf: { ...all, additionalOrigins: [{ suffix: "friend.test" }] } },
    },
    async observe({ ask, host }) {
      equal((await ask("/", foreign)).status, 403);
      equal((await ask("/", { method: "POST", headers: { origin: `http://${host}` } })).status, 200);
      equal((await ask("/", { method: "POST", headers: { origin: "https://my.friend.test" } })).status, 200);
      equal((await ask("/", { headers: { origin: "https://evil.test" } })).status, 200);
    },
  },
  {
    fact: "the same, on a virtual host, and off on one of its routes",
    options: ["virtualHost.csrf", "route.csrf"],
    given: {
      virtualHost: { csrf: all },
      routes: [
        { ...route({ options: { csrf: { filterEnabled: { defaultValue: { numerator: 0 } } } } }), matchers: [{ prefix: "/off" }] },
        route(),
      ],
    },
    async observe({ ask }) {
      equal((await ask("/", foreign)).status, 403);
      equal((await ask("/off", foreign)).status, 200);
    },
  },
  {
    fact: "the same, on one of several destinations",
    options: ["weighted.csrf"],
    given: { weighted: { csrf: all } },
    observe: async ({ ask }) => equal((await ask("/", foreign)).status, 403),
  },
  {
    fact: "requests that would only be refused are counted and served",
    options: ["http.csrf"],
    given: { http: { csrf: { shadowEnabled: { defaultValue: { numerator: 100 } } } } },
    observe: async ({ ask, stat, eventually }) => {
      equal((await ask("/", foreign)).status, 200);
      await eventually("it was counted", async () => (await stat("http.http.csrf.request_invalid")) > 0);
    },
  },
  {
    fact: "a larger request is 413, below the listener with other limits or none",
    options: ["http.buffer", "virtualHost.bufferPerRoute", "route.bufferPerRoute", "weighted.bufferPerRoute"],
    given: {
      http: { buffer: { maxRequestBytes: 100 } },
      virtualHost: { bufferPerRoute: { buffer: { maxRequestBytes: 200 } } },
      routes: [
        { ...route({ options: { bufferPerRoute: { disabled: true } } }), matchers: [{ prefix: "/off" }] },
        {
          ...route({}, { routeAction: weighted({ bufferPerRoute: { buffer: { maxRequestBytes: 300 } } }) }),
          matchers: [{ prefix: "/cluster" }],
        },
        route(),
      ],
    },
    async observe({ ask }) {
      const send = async (path: string, bytes: number) => (await ask(path, { method: "POST", body: "a".repeat(bytes) })).status;
      deepEqual(
        [await send("/", 150), await send("/", 250), await send("/cluster", 250), await send("/cluster", 350), await send("/off", 1000)],
        [200, 413, 200, 413, 200],
      );
    },
  },
  {
    fact: "a larger request is 413 on the whole listener",
    options: ["http.buffer"],
    given: { http: { buffer: { maxRequestBytes: 100 } } },
    async observe({ ask }) {
      equal((await ask("/", { method: "POST", body: "a".repeat(101) })).status, 413);
      equal((await ask("/", { method: "POST", body: "a".repeat(99) })).status, 200);
    },
  },
  {
    fact: "a request that fails is tried again, and both sides are told which attempt it is",
    options: ["virtualHost.retries", "virtualHost.includeRequestAttemptCount", "virtualHost.includeAttemptCountInResponse"],
    given: {
      virtualHost: { retries: { retryOn: "5xx", numRetries: 1 }, includeRequestAttemptCount: true, includeAttemptCountInResponse: true },
      routes: [{ ...route({ options: { retries: { retryOn: "reset" } } }), matchers: [{ prefix: "/status" }] }, route()],
    },
    async observe({ ask }) {
      const answer = await ask("/flaky/1");
      deepEqual(
        [answer.status, answer.received.headers["x-envoy-attempt-count"], answer.headers["x-envoy-attempt-count"]],
        [200, "2", "2"],
      );
      equal((await ask("/status/503")).headers["x-envoy-attempt-count"], "1");
    },
  },
  {
    fact: "requests are counted by path and method",
    options: ["virtualHost.stats"],
    given: { virtualHost: { stats: { virtualClusters: [{ name: "pets", pattern: "/pets/.*", method: "GET" }] } } },
    async observe({ ask, stat, name, eventually }) {
      await ask("/pets/1");
      await ask("/pets/1", { method: "POST" });
      await ask("/cats/1");
      await eventually("one was counted", async () => (await stat(`vhost\\.${name}_${name}\\.vcluster\\.pets\\.upstream_rq_total`)) === 1);
    },
  },
  {
    fact: "bodies and headers are changed by templates, at each level",
    options: ["virtualHost.stagedTransformations", "route.stagedTransformations", "weighted.stagedTransformations"],
    given: {
      virtualHost: { stagedTransformations: staged("host") },
      routes: [
        { ...route({ options: { stagedTransformations: staged("route") } }), matchers: [{ prefix: "/route" }] },
        { ...route({}, { routeAction: weighted({ stagedTransformations: staged("cluster") }) }), matchers: [{ prefix: "/cluster" }] },
        route(),
      ],
    },
    async observe({ ask }) {
      equal((await ask("/")).received.headers["x-of"], "host GET");
      equal((await ask("/route")).received.headers["x-of"], "route GET");
      equal((await ask("/cluster")).received.headers["x-of"], "cluster GET");
    },
  },
  {
    fact: "the same, in the old form",
    options: ["virtualHost.transformations", "route.transformations", "weighted.transformations"],
    given: {
      virtualHost: { transformations: transformation("host") },
      routes: [
        { ...route({ options: { transformations: transformation("route") } }), matchers: [{ prefix: "/route" }] },
        { ...route({}, { routeAction: weighted({ transformations: transformation("cluster") }) }), matchers: [{ prefix: "/cluster" }] },
        route(),
      ],
    },
    async observe({ ask }) {
      equal((await ask("/")).received.headers["x-of"], "host GET");
      equal((await ask("/route")).received.headers["x-of"], "route GET");
      equal((await ask("/cluster")).received.headers["x-of"], "cluster GET");
    },
  },
  {
    fact: "options of resources of their own: what the route says wins, then the first that is named",
    options: ["route.timeout", "route.prefixRewrite", "route.headerManipulation"],
    given: ({ name }) => ({
      objects: [
        object("RouteOption", "first", name, { options: { timeout: "1s", prefixRewrite: "/delay" } }),
        object("RouteOption", "second", name, {
          options: { prefixRewrite: "/second", headerManipulation: { requestHeadersToAdd: [add("x-from", "second")] }, timeout: "9s" },
        }),
      ],
      routes: [
        {
          ...route({ options: { prefixRewrite: "/own" }, optionsConfigRefs: refs(name) }),
          matchers: [{ prefix: "/a" }],
        },
        { ...route({ optionsConfigRefs: refs(name) }), matchers: [{ prefix: "/b" }] },
      ],
    }),
    async observe({ ask }) {
      const { received } = await ask("/a");
      deepEqual([received.url, received.headers["x-from"]], ["/own", "second"]);
      equal((await ask("/b/0")).received.url, "/delay/0");
      equal((await ask("/b/5000")).status, 504);
    },
  },
  {
    fact: "options of resources of their own, on a virtual host",
    options: ["virtualHost.headerManipulation", "virtualHost.includeRequestAttemptCount"],
    given: ({ name }) => ({
      objects: [
        object("VirtualHostOption", "first", name, { options: { headerManipulation: { requestHeadersToAdd: [add("x-from", "first")] } } }),
        object("VirtualHostOption", "second", name, {
          options: { headerManipulation: { requestHeadersToAdd: [add("x-from", "second")] }, includeRequestAttemptCount: true },
        }),
      ],
      virtualService: {
        virtualHost: { domains: [`${name}.test`], routes: [route()], optionsConfigRefs: refs(name) },
      },
    }),
    async observe({ ask }) {
      const { headers } = (await ask()).received;
      deepEqual([headers["x-from"], headers["x-envoy-attempt-count"]], ["first", "1"]);
    },
  },
  {
    fact: "requests beyond the bucket are 429, by the listener, and told how many are left",
    options: ["http.httpLocalRatelimit"],
    given: {
      http: {
        httpLocalRatelimit: { defaultLimit: { maxTokens: 2, tokensPerFill: 1, fillInterval: "300s" }, enableXRatelimitHeaders: true },
      },
    },
    async observe({ ask }) {
      const first = await ask();
      equal(first.headers["x-ratelimit-remaining"], "1");
      deepEqual([first.status, (await ask()).status, (await ask()).status], [200, 200, 429]);
    },
  },
  {
    fact: "a virtual host and a route have buckets of their own, without a service",
    options: ["virtualHost.ratelimit", "route.ratelimit"],
    given: {
      virtualHost: { ratelimit: { localRatelimit: { maxTokens: 1, tokensPerFill: 1, fillInterval: "300s" } } },
      routes: [
        {
          ...route({ options: { ratelimit: { localRatelimit: { maxTokens: 2, tokensPerFill: 1, fillInterval: "300s" } } } }),
          matchers: [{ prefix: "/own" }],
        },
        route(),
      ],
    },
    async observe({ ask }) {
      deepEqual([(await ask()).status, (await ask()).status], [200, 429]);
      deepEqual([(await ask("/own")).status, (await ask("/own")).status, (await ask("/own")).status], [200, 200, 429]);
    },
  },
  {
    fact: "connections beyond the bucket are closed",
    options: ["http.networkLocalRatelimit"],
    given: { http: { networkLocalRatelimit: { maxTokens: 1, tokensPerFill: 1, fillInterval: "300s" } } },
    async observe({ ask }) {
      equal((await ask()).status, 200);
      ok(
        await ask().then(
          () => false,
          () => true,
        ),
      );
    },
  },
];

function refs(namespace: string): object {
  return {
    delegateOptions: [
      { name: "first", namespace },
      { name: "second", namespace },
    ],
  };
}

function transformation(level: string): object {
  return {
    requestTransformation: {
      transformationTemplate: { headers: { "x-of": { text: `${level} {{ header(":method") }}` } }, passthrough: {} },
    },
  };
}

function staged(level: string): object {
  return { regular: { requestTransforms: [transformation(level)] } };
}
