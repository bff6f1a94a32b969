// Options that ask a service: authorization and rate limits.
import { deepEqual, equal, match, ok } from "node:assert/strict";
import { connect } from "node:net";
import { type OptionCase, route, shared } from "../option-case.ts";

const grpc = { name: "grpc", namespace: shared };
const echo = { name: "echo", namespace: shared };
const custom = (contextExtensions: object = {}) => ({ extauth: { customAuth: { contextExtensions } } });
const open = { extauth: { disable: true } };
const weighted = (options: object) => ({
  multi: { destinations: [{ weight: 1, destination: { upstream: echo }, options }] },
});
const limits = (...actions: object[]) => ({ rateLimits: [{ actions }] });
const key = (descriptorValue: string) => ({ genericKey: { descriptorValue } });

export const authConfig = (name: string, namespace: string, ...apiKeys: readonly object[]) => ({
  apiVersion: "enterprise.gloo.solo.io/v1",
  kind: "AuthConfig",
  metadata: { name, namespace },
  spec: { configs: apiKeys.map((apiKeyAuth) => ({ apiKeyAuth })) },
});
export const apiKey = (name: string, namespace: string, key: string, metadata: object, labels: object = {}) => ({
  apiVersion: "v1",
  kind: "Secret",
  metadata: { name, namespace, labels },
  type: "extauth.solo.io/apikey",
  stringData: { "api-key": key, ...metadata },
});
const rateLimitConfig = (name: string, namespace: string, raw: object) => ({
  apiVersion: "ratelimit.solo.io/v1alpha1",
  kind: "RateLimitConfig",
  metadata: { name, namespace },
  spec: { raw },
});

/** What asks an authorization server that is not there. */
export const unasked: readonly OptionCase[] = (["virtualHost", "route"] as const).flatMap((level): OptionCase[] => [
  {
    fact: `that nobody is asked is said, where no server is named (${level})`,
    options: [`${level}.extauth`],
    says: /warning .*extauth\.customAuth: no authorization server is named.*\[name one in/,
    given: { [level]: custom() },
    observe: async ({ ask }) => equal((await ask()).status, 200),
  },
  {
    fact: `what a server protects is not served where its Upstream is not there, which is said (${level})`,
    options: ["http.extauth", `${level}.extauth`],
    says: /error .*extauth\.customAuth: the authorization server is not there.*\[create the Upstream shared\.nobody/,
    given: { http: { extauth: { extauthzServerRef: { name: "nobody", namespace: shared } } }, [level]: custom() },
    observe: async ({ ask }) => equal((await ask()).status, 404),
  },
]);

/** Limits that cannot be asked for. */
export const uncounted: readonly OptionCase[] = [
  ...([false, true] as const).map((denyOnFail): OptionCase => {
    const served = denyOnFail ? "not served, since ratelimitServer has" : "served without this limit, since ratelimitServer has no";
    return {
      fact: `a route whose RateLimitConfig is not there is ${denyOnFail ? "not served" : "served"}, as where the service does not answer`,
      options: ["route.rateLimitConfigs", "http.ratelimitServer"],
      says: new RegExp(
        `error .*rateLimitConfigs\\.refs\\[0\\]: RateLimitConfig shared\\.nobody not found \\[create it.*; .*${served} denyOnFail\\]`,
      ),
      given: {
        http: { ratelimitServer: { ratelimitServerRef: grpc, denyOnFail, requestTimeout: "5s" } },
        route: { rateLimitConfigs: { refs: [{ name: "nobody", namespace: shared }] } },
      },
      observe: async ({ ask }) => equal((await ask()).status, denyOnFail ? 404 : 200),
    };
  }),
  ...(["virtualHost", "route"] as const).map(
    (level): OptionCase => ({
      fact: `what has limits is not served where the Upstream of the service is not there, and none may pass without its answer (${level})`,
      options: ["http.ratelimitServer", `${level}.ratelimit`],
      says: /error .*options\.ratelimit: no rate limit service is there to ask.*\[create the Upstream shared\.nobody/,
      given: {
        http: { ratelimitServer: { ratelimitServerRef: { name: "nobody", namespace: shared }, denyOnFail: true } },
        [level]: { ratelimit: limits(key("any")) },
      },
      observe: async ({ ask }) => equal((await ask()).status, 404),
    }),
  ),
];

export const services: readonly OptionCase[] = [
  {
    fact: "a gRPC server is asked where a virtual host wants it, with what each level says, and not where it is off",
    options: ["http.extauth", "virtualHost.extauth", "route.extauth", "weighted.extauth"],
    given: {
      http: { extauth: { extauthzServerRef: grpc, requestTimeout: "5s" } },
      virtualHost: custom(),
      routes: [
        { ...route({ options: open }), matchers: [{ prefix: "/open" }] },
        { ...route({ options: custom({ door: "let-me-in" }) }), matchers: [{ prefix: "/route" }] },
        { ...route({}, { routeAction: weighted(custom({ door: "let-me-in" })) }), matchers: [{ prefix: "/cluster" }] },
        { ...route({}, { routeAction: weighted(open) }), matchers: [{ prefix: "/free" }] },
        route(),
      ],
    },
    async observe({ ask }) {
      const statusOf = async (path: string, headers = {}) => (await ask(path, { headers })).status;
      deepEqual(
        [
          await statusOf("/"),
          await statusOf("/", { "x-token": "let-me-in" }),
          await statusOf("/open"),
          await statusOf("/route"),
          await statusOf("/cluster"),
          await statusOf("/free"),
        ],
        [403, 200, 200, 200, 200, 200],
      );
    },
  },
  {
    fact: "a virtual host that does not ask for it is open",
    options: ["http.extauth"],
    given: { http: { extauth: { extauthzServerRef: grpc } } },
    observe: async ({ ask }) => equal((await ask()).status, 200),
  },
  {
    fact: "the server sees the body",
    options: ["http.extauth"],
    given: {
      http: {
        extauth: { extauthzServerRef: grpc, requestTimeout: "5s", requestBody: { maxRequestBytes: 100, allowPartialMessage: true } },
      },
      virtualHost: custom(),
    },
    async observe({ ask }) {
      equal((await ask("/", { method: "POST", body: "please let-me-in" })).status, 200);
      equal((await ask("/", { method: "POST", body: "please" })).status, 403);
    },
  },
  {
    fact: "an HTTP server is asked: its headers go on, to the Upstream or the client",
    options: ["http.extauth"],
    given: {
      http: {
        extauth: {
          extauthzServerRef: { name: "other", namespace: shared },
          requestTimeout: "5s",
          httpService: {
            pathPrefix: "/headers",
            request: {
              allowedHeaders: ["x-token"],
              allowedHeadersRegex: ["^x-case$"],
              headersToAdd: { "x-asks": "envoy, for %REQ(x-token)%" },
            },
            response: { allowedUpstreamHeaders: ["x-user"] },
          },
        },
      },
      virtualHost: custom(),
    },
    async observe({ ask, servers, name }) {
      const { received } = await ask("/?x-user=me", { headers: { "x-token": "mine", "x-other": "1" } });
      equal(received.headers["x-user"], "me");
      const asked = servers.other.received.find(({ headers }) => headers["x-case"] === name);
      deepEqual([asked?.headers["x-token"], asked?.headers["x-asks"], asked?.headers["x-other"]], ["mine", "envoy, for mine", undefined]);
    },
  },
  {
    fact: "what an HTTP server refuses is refused, with its answer",
    options: ["http.extauth"],
    given: {
      http: {
        extauth: {
          extauthzServerRef: { name: "other", namespace: shared },
          requestTimeout: "5s",
          httpService: { pathPrefix: "/status/401", response: { allowedClientHeaders: ["content-type"] } },
        },
      },
      virtualHost: custom(),
    },
    async observe({ ask }) {
      const answer = await ask();
      equal(answer.status, 401);
      equal(answer.headers["content-type"], "application/json");
    },
  },
  {
    fact: "when nobody answers, the request is refused with the status that is written",
    options: ["http.extauth"],
    given: { http: { extauth: { extauthzServerRef: { name: "closed", namespace: shared }, statusOnError: 503 } }, virtualHost: custom() },
    observe: async ({ ask }) => equal((await ask()).status, 503),
  },
  {
    fact: "when nobody answers, the request passes where that is wanted",
    options: ["http.extauth"],
    given: {
      http: { extauth: { extauthzServerRef: { name: "closed", namespace: shared }, failureModeAllow: true } },
      virtualHost: custom(),
    },
    observe: async ({ ask }) => equal((await ask()).status, 200),
  },
  ...unasked,
  ...uncounted,
  {
    fact: "a route that asks a server which is not there does not lose the API keys of its virtual host: it is not served, nor is a destination",
    options: ["route.extauth", "weighted.extauth"],
    says: /error .*routes\[0\]\.options\.extauth\.customAuth: the authorization server is not there(?=[\s\S]*error .*routes\[1\][\s\S]*customAuth: the auth)/,
    given: ({ name }) => ({
      http: { extauth: { extauthzServerRef: { name: "nobody", namespace: shared } } },
      objects: [apiKey("ann", name, "key-of-ann", {}), authConfig("keys", name, { apiKeySecretRefs: [{ name: "ann", namespace: name }] })],
      virtualHost: { extauth: { configRef: { name: "keys", namespace: name } } },
      routes: [
        { ...route({ options: custom() }), matchers: [{ prefix: "/custom" }] },
        { ...route({}, { routeAction: weighted(custom()) }), matchers: [{ prefix: "/weighted" }] },
        route(),
      ],
    }),
    async observe({ ask }) {
      const headers = { "api-key": "key-of-ann" };
      deepEqual([(await ask()).status, (await ask("/", { headers })).status], [401, 200]);
      for (const path of ["/custom", "/weighted"])
        for (const status of [(await ask(path)).status, (await ask(path, { headers })).status]) ok(status === 401 || status === 404);
    },
  },
  {
    fact: "a service counts requests, by what virtual host and route say of them",
    options: ["http.ratelimitServer", "virtualHost.ratelimit", "route.ratelimit"],
    given: {
      http: { ratelimitServer: { ratelimitServerRef: grpc, requestTimeout: "5s" } },
      virtualHost: { ratelimit: limits({ requestHeaders: { headerName: "x-user", descriptorKey: "user" } }, { remoteAddress: {} }) },
      routes: [
        { ...route({ options: { ratelimit: limits(key("limited")) } }), matchers: [{ prefix: "/limited" }] },
        { ...route({ options: { ratelimit: limits(key("free")) } }), matchers: [{ prefix: "/free" }] },
        { ...route({ options: { ratelimit: { ...limits(key("free")), includeVhRateLimits: true } } }), matchers: [{ prefix: "/both" }] },
        route(),
      ],
    },
    async observe({ ask, servers }) {
      const statusOf = async (path: string, user: string) => (await ask(path, { headers: { "x-user": user } })).status;
      deepEqual([await statusOf("/", "free"), await statusOf("/", "limited-one")], [200, 429]);
      equal(await statusOf("/limited", "free"), 429);
      deepEqual([await statusOf("/free", "limited-two"), await statusOf("/both", "limited-three")], [200, 429]);
      const asked = servers.grpc.received.find(({ text }) => text.includes("limited-one"))?.text ?? "";
      for (const each of ["custom", "user", "remote_address", "127.0.0.1"]) ok(asked.includes(each), each);
    },
  },
  {
    fact: "descriptors are made of headers, clusters and metadata",
    options: ["route.ratelimit"],
    given: ({ name }) => ({
      http: { ratelimitServer: { ratelimitServerRef: grpc, requestTimeout: "5s" } },
      route: {
        envoyMetadata: { shop: { tier: `tier-of-${name}` } },
        ratelimit: limits(
          { sourceCluster: {} },
          { destinationCluster: {} },
          { headerValueMatch: { descriptorValue: `match-${name}`, expectMatch: true, headers: [{ name: "x-case", presentMatch: true }] } },
          {
            metadata: {
              descriptorKey: "tier",
              metadataKey: { key: "shop", path: [{ key: "tier" }] },
              source: "ROUTE_ENTRY",
            },
          },
        ),
      },
    }),
    async observe({ ask, servers, name }) {
      equal((await ask()).status, 200);
      const asked = servers.grpc.received.find(({ text }) => text.includes(`match-${name}`))?.text ?? "";
      for (const each of ["source_cluster", "gateway", "destination_cluster", "echo_shared", `tier-of-${name}`])
        ok(asked.includes(each), `${each} in ${asked}`);
    },
  },
  {
    fact: "the limit itself comes from metadata, here that of the authorization server",
    options: ["route.ratelimit", "http.extauth"],
    given: ({ name }) => ({
      http: {
        ratelimitServer: { ratelimitServerRef: grpc, requestTimeout: "5s" },
        extauth: { extauthzServerRef: grpc, requestTimeout: "5s" },
      },
      virtualHost: custom({ door: "let-me-in" }),
      route: {
        ratelimit: {
          rateLimits: [
            {
              actions: [key(`own-${name}`)],
              limit: { dynamicMetadata: { metadataKey: { key: "envoy.filters.http.ext_authz", path: [{ key: "limit" }] } } },
            },
          ],
        },
      },
    }),
    async observe({ ask, servers, name }) {
      equal((await ask()).status, 200);
      const asked = servers.grpc.received.find(({ text }) => text.includes(`own-${name}`))?.text ?? "";
      // RateLimitOverride: 42 in an HOUR.
      ok(asked.includes("\x08\x2a\x10\x03"), JSON.stringify(asked));
    },
  },
  {
    fact: "tokens of language models are not counted, and that is said",
    options: ["route.ratelimit"],
    says: /rateLimits\[0\]\.type: only requests are counted here/,
    given: { route: { ratelimit: { rateLimits: [{ actions: [key("any")], type: "TOKEN" }] } } },
    observe: async ({ ask }) => equal((await ask()).status, 200),
  },
  {
    fact: "that the header of the user is not made is said",
    options: ["http.extauth", "virtualHost.extauth"],
    says: /extauth\.userIdHeader: .*clients can send/,
    given: {
      http: { extauth: { extauthzServerRef: grpc, requestTimeout: "5s", userIdHeader: "x-user-id" } },
      virtualHost: custom(),
    },
    observe: async ({ ask }) => equal((await ask()).status, 403),
  },
  {
    fact: "an AuthConfig lets pass who has an API key, of Secrets that are named or have labels; each level has its own, a server, or none",
    options: ["virtualHost.extauth", "route.extauth", "weighted.extauth", "http.extauth"],
    given: ({ name }) => {
      const named = {
        apiKeySecretRefs: [{ name: "ann", namespace: name }],
        headersFromMetadataEntry: { "x-user": { name: "user-id", required: true } },
      };
      const labelled = { headerName: "x-other-key", k8sSecretApikeyStorage: { labelSelector: { keys: name } } };
      const ref = (config: string) => ({ extauth: { configRef: { name: config, namespace: name } } });
      return {
        http: { extauth: { extauthzServerRef: grpc, requestTimeout: "5s" } },
        objects: [
          apiKey("ann", name, "key-of-ann", { "user-id": "ann" }),
          apiKey("bob", name, "key-of-bob", {}, { keys: name }),
          authConfig("named", name, named),
          authConfig("labelled", name, labelled),
          authConfig("both", name, named, labelled),
        ],
        virtualHost: ref("both"),
        routes: [
          { ...route({ options: ref("named") }), matchers: [{ prefix: "/named" }] },
          { ...route({ options: ref("labelled") }), matchers: [{ prefix: "/labelled" }] },
          { ...route({ options: open }), matchers: [{ prefix: "/open" }] },
          { ...route({ options: custom() }), matchers: [{ prefix: "/custom" }] },
          { ...route({}, { routeAction: weighted(open) }), matchers: [{ prefix: "/free" }] },
          { ...route({}, { routeAction: weighted(ref("named")) }), matchers: [{ prefix: "/cluster" }] },
          route(),
        ],
      };
    },
    async observe({ ask }) {
      const ways: Readonly<Record<string, string>>[] = [
        {},
        { "api-key": "key-of-ann" },
        { "x-other-key": "key-of-bob" },
        { "api-key": "key-of-ann", "x-other-key": "key-of-bob" },
      ];
      const statuses = async (path: string) => Promise.all(ways.map(async (headers) => (await ask(path, { headers })).status));
      deepEqual(await statuses("/"), [401, 401, 401, 200]);
      deepEqual(await statuses("/named"), [401, 200, 401, 200]);
      deepEqual(await statuses("/labelled"), [401, 401, 200, 200]);
      deepEqual(await statuses("/open"), [200, 200, 200, 200]);
      deepEqual(await statuses("/custom"), [403, 403, 403, 403]);
      deepEqual(await statuses("/free"), [200, 200, 200, 200]);
      deepEqual(await statuses("/cluster"), [401, 200, 401, 200]);
      const { received } = await ask("/named", { headers: { "api-key": "key-of-ann", "x-user": "root" } });
      equal(received.headers["x-user"], "ann");
      equal((await ask("/custom", { headers: { "x-token": "let-me-in" } })).status, 200);
    },
  },
  {
    fact: "API keys that cannot be used let nobody in, which is said",
    options: ["virtualHost.extauth"],
    says: /did not find secret .*\.nobody.*|has the key of another/,
    given: ({ name }) => ({
      objects: [
        apiKey("one", name, "same", {}, { keys: name }),
        apiKey("two", name, "same", {}, { keys: name }),
        authConfig("any", name, { apiKeySecretRefs: [{ name: "nobody", namespace: name }] }),
        authConfig("twice", name, { labelSelector: { keys: name } }),
      ],
      virtualHost: { extauth: { configRef: { name: "any", namespace: name } } },
      routes: [
        { ...route({ options: { extauth: { configRef: { name: "twice", namespace: name } } } }), matchers: [{ prefix: "/twice" }] },
        route(),
      ],
    }),
    async observe({ ask }) {
      const status = async (path: string, key: string) => (await ask(path, { headers: { "api-key": key } })).status;
      deepEqual([await status("/", "same"), await status("/twice", "same"), await status("/twice", "other")], [401, 200, 401]);
    },
  },
  {
    fact: "a set is sent as one descriptor, of what the request has, and that the service needs a rule for it is said",
    options: ["route.ratelimit"],
    says: /rateLimits\[0\]\.setActions: a set is sent as one descriptor.* \[let the service look for/,
    given: ({ name }) => ({
      http: { ratelimitServer: { ratelimitServerRef: grpc, requestTimeout: "5s" } },
      route: {
        ratelimit: {
          rateLimits: [
            {
              setActions: [
                key(`set-${name}`),
                { requestHeaders: { headerName: "x-absent", descriptorKey: "absent" } },
                { requestHeaders: { headerName: "x-user", descriptorKey: "user" } },
              ],
            },
          ],
        },
      },
    }),
    async observe({ ask, servers, name }) {
      deepEqual([(await ask("/", { headers: { "x-user": "limited" } })).status, (await ask()).status], [429, 200]);
      const asked = servers.grpc.received.find(({ text }) => text.includes(`set-${name}`))?.text ?? "";
      ok(asked.includes("solo.setDescriptor.uniqueValue") && !asked.includes("absent"), JSON.stringify(asked));
    },
  },
  {
    fact: "what RateLimitConfigs say of requests is asked of the service; that it has to know the descriptors is said",
    options: ["virtualHost.rateLimitConfigs", "route.rateLimitConfigs"],
    says: /rateLimitConfigs\.refs\[0\]: the descriptors of RateLimitConfig .*counted are not sent to the service \[/,
    given: ({ name }) => ({
      http: { ratelimitServer: { ratelimitServerRef: grpc, requestTimeout: "5s" } },
      objects: [
        rateLimitConfig("users", name, {
          rateLimits: [{ actions: [{ requestHeaders: { headerName: "x-user", descriptorKey: "user" } }] }],
        }),
        rateLimitConfig("counted", name, {
          descriptors: [{ key: "generic_key", value: "limited", rateLimit: { unit: "MINUTE", requestsPerUnit: 1 } }],
          rateLimits: [{ actions: [key("limited")] }],
        }),
      ],
      virtualHost: { rateLimitConfigs: { refs: [{ name: "users", namespace: name }] } },
      routes: [
        { ...route({ options: { rateLimitConfigs: { refs: [{ name: "counted", namespace: name }] } } }), matchers: [{ prefix: "/own" }] },
        route(),
      ],
    }),
    async observe({ ask }) {
      const statusOf = async (path: string, user: string) => (await ask(path, { headers: { "x-user": user } })).status;
      deepEqual([await statusOf("/", "free"), await statusOf("/", "limited"), await statusOf("/own", "free")], [200, 429, 429]);
    },
  },
  ...([false, true] as const).map(
    (rateLimitBeforeAuth): OptionCase => ({
      fact: `limits are asked for before or after authorization, as is written, whatever is usual (${rateLimitBeforeAuth ? "before" : "after"})`,
      options: ["ratelimitEarly", "rateLimitEarlyConfigs", "ratelimitRegular", "rateLimitRegularConfigs"].flatMap((field) => [
        `virtualHost.${field}`,
        `route.${field}`,
      ]),
      given: ({ name }) => {
        const byUser = limits({ requestHeaders: { headerName: "x-user", descriptorKey: "user" } });
        const config = { refs: [{ name: "users", namespace: name }] };
        return {
          http: {
            ratelimitServer: { ratelimitServerRef: grpc, requestTimeout: "5s", rateLimitBeforeAuth },
            extauth: { extauthzServerRef: grpc, requestTimeout: "5s" },
          },
          objects: [rateLimitConfig("users", name, byUser)],
          virtualHost: { ...custom(), ratelimitEarly: byUser },
          routes: [
            { ...route({ options: { ratelimitRegular: byUser } }), matchers: [{ prefix: "/regular" }] },
            {
              ...route({ options: { ratelimitRegular: { ...limits(key("free")), includeVhRateLimits: true } } }),
              matchers: [{ prefix: "/both" }],
            },
            { ...route({ options: { rateLimitRegularConfigs: config } }), matchers: [{ prefix: "/configs/regular" }] },
            { ...route({ options: { rateLimitEarlyConfigs: config } }), matchers: [{ prefix: "/configs/early" }] },
            route(),
          ],
        };
      },
      async observe({ ask }) {
        // Nobody is let in here without a token: who is told of a limit was not asked for it.
        const status = async (path: string, headers: Readonly<Record<string, string>>) => (await ask(path, { headers })).status;
        const statuses = async (path: string) => [
          await status(path, { "x-user": "limited" }),
          await status(path, { "x-user": "limited", "x-token": "let-me-in" }),
          await status(path, { "x-user": "free", "x-token": "let-me-in" }),
        ];
        deepEqual(await statuses("/"), [429, 429, 200]);
        deepEqual(await statuses("/regular"), [403, 429, 200]);
        deepEqual(await statuses("/both"), [429, 429, 200]);
        deepEqual(await statuses("/configs/regular"), [403, 429, 200]);
        deepEqual(await statuses("/configs/early"), [429, 429, 200]);
      },
    }),
  ),
  {
    fact: "that a local limit is in the wrong place is said",
    options: ["virtualHost.ratelimitEarly"],
    says: /ratelimitEarly\.localRatelimit: a local limit is applied before authorization.* \[write it in/,
    given: { virtualHost: { ratelimitEarly: { localRatelimit: { maxTokens: 1 } } } },
    observe: async ({ ask }) => equal((await ask()).status, 200),
  },
  {
    fact: "that a server has no name is said",
    options: ["virtualHost.extauth"],
    says: /extauth\.customAuth\.name: servers have no names here/,
    given: { http: { extauth: { extauthzServerRef: grpc } }, virtualHost: { extauth: { customAuth: { name: "of-billing" } } } },
  },
  {
    fact: "when the service does not answer, requests pass, or not where that is wanted; before authorization, too",
    options: ["http.ratelimitServer"],
    given: {
      http: {
        ratelimitServer: { ratelimitServerRef: { name: "closed", namespace: shared }, denyOnFail: true, rateLimitBeforeAuth: false },
      },
      virtualHost: { ratelimit: limits(key("any")) },
    },
    observe: async ({ ask }) => equal((await ask()).status, 500),
  },
  {
    fact: "limits are asked for before authorization",
    options: ["http.ratelimitServer"],
    given: {
      http: {
        ratelimitServer: { ratelimitServerRef: grpc, requestTimeout: "5s", rateLimitBeforeAuth: true, enableXRatelimitHeaders: true },
        extauth: { extauthzServerRef: grpc, requestTimeout: "5s" },
      },
      virtualHost: { ratelimit: limits({ requestHeaders: { headerName: "x-user", descriptorKey: "user" } }), ...custom() },
    },
    async observe({ ask }) {
      // Nobody is let in here: who is told of the limit was not asked for authorization.
      equal((await ask("/", { headers: { "x-user": "limited" } })).status, 429);
      equal((await ask("/", { headers: { "x-user": "free" } })).status, 403);
    },
  },
  ...(["extProcEarly", "extProc", "extProcLate"] as const).flatMap((field): OptionCase[] => [
    {
      fact: "a server changes requests and responses, and leaves alone what routes say",
      options: [`http.${field}`, `virtualHost.${field}`, `route.${field}`],
      given: ({ name }) => ({
        http: {
          [field]: {
            grpcService: { extProcServerRef: grpc, initialMetadata: [{ key: "x-of", value: name }] },
            messageTimeout: "5s",
            maxMessageTimeout: "6s",
            statPrefix: "mine",
            requestAttributes: ["request.path"],
            allowModeOverride: false,
            disableClearRouteCache: true,
            failureModeAllow: false,
            mutationRules: { disallowSystem: true },
            forwardRules: { disallowedHeaders: { patterns: [{ exact: "x-secret" }] } },
            metadataContextNamespaces: ["envoy.filters.http.ext_authz"],
          },
        },
        virtualHost: { [field]: { overrides: { processingMode: { responseHeaderMode: "SKIP" } } } },
        routes: [
          { ...route({ options: { [field]: { disabled: true } } }), matchers: [{ prefix: "/off" }] },
          {
            ...route({ options: { [field]: { overrides: { processingMode: { requestHeaderMode: "SKIP" } } } } }),
            matchers: [{ prefix: "/own" }],
          },
          route(),
        ],
      }),
      async observe({ ask, servers, name }) {
        const changes = async (path: string) => {
          const { headers, received } = await ask(path, { headers: { "x-secret": "hidden" } });
          return [received.headers["x-processed-request"], headers["x-processed-response"]];
        };
        deepEqual(await changes("/"), ["yes", undefined]);
        deepEqual(await changes("/own"), [undefined, "yes"]);
        deepEqual(await changes("/off"), [undefined, undefined]);
        const asked = servers.grpc.received.filter(({ metadata }) => metadata["x-of"] === name).map(({ text }) => text);
        ok(asked.some((text) => text.includes(name)) && asked.every((text) => !text.includes("hidden")));
      },
    },
    {
      fact: "the listener turns it off",
      options: [`http.disableE${field.slice(1)}`],
      given: { http: { [`disableE${field.slice(1)}`]: true } },
      observe: async ({ ask }) => equal((await ask()).received.headers["x-processed-request"], undefined),
    },
  ]),
  {
    fact: "when the server does not answer, requests fail, or pass where that is wanted",
    options: ["http.extProc"],
    given: {
      http: { extProc: { grpcService: { extProcServerRef: { name: "closed", namespace: shared } } } },
      routes: [
        { ...route({ options: { extProc: { overrides: { grpcService: { extProcServerRef: grpc } } } } }), matchers: [{ prefix: "/own" }] },
        route(),
      ],
    },
    async observe({ ask }) {
      equal((await ask()).status, 500);
      equal((await ask("/own")).received.headers["x-processed-request"], "yes");
    },
  },
  {
    fact: "that the server is not there is said",
    options: ["http.extProc"],
    says: /extProcServerRef: \*v1\.Upstream \{ shared\.nobody \} not found/,
    given: { http: { extProc: { grpcService: { extProcServerRef: { name: "nobody", namespace: shared } } } } },
    observe: async ({ ask }) => equal((await ask()).status, 200),
  },
  {
    fact: "that nothing is processed is said, where no server is named",
    options: ["virtualHost.extProc"],
    says: /extProc: no server is there to process/,
    given: { virtualHost: { extProc: { overrides: { processingMode: { requestHeaderMode: "SKIP" } } } } },
    observe: async ({ ask }) => equal((await ask()).status, 200),
  },
  {
    fact: "that Envoy waits for the server in any case is said",
    options: ["http.extProc"],
    says: /extProc\.asyncMode: asyncMode has no effect/,
    given: { http: { extProc: { grpcService: { extProcServerRef: grpc }, asyncMode: true } } },
    observe: async ({ ask }) => equal((await ask()).received.headers["x-processed-request"], "yes"),
  },
  {
    fact: "JSON becomes a gRPC call",
    options: ["http.grpcJsonTranscoder"],
    given: ({ servers }) => ({
      to: "grpc",
      http: { grpcJsonTranscoder: { protoDescriptorBin: servers.grpc.descriptors, services: ["till.v1.Till"], autoMapping: true } },
    }),
    async observe({ ask }) {
      const answer = await ask("/till.v1.Till/Get", {
        method: "POST",
        headers: { "content-type": "application/json" },
        body: '{"id":"abc"}',
      });
      match(answer.body, /"id":\s*"gotabc"/);
    },
  },
  {
    fact: "connections are passed on as they are, with attempts, times and logs as written",
    options: ["tcp.tcpProxySettings", "listener.accessLoggingService"],
    given: ({ folder }) => ({
      tcp: { tcpProxySettings: { maxConnectAttempts: 2, idleTimeout: "2s" } },
      listener: { accessLoggingService: { accessLog: [{ fileSink: { path: `${folder}/log`, stringFormat: "%BYTES_RECEIVED%\n" } }] } },
    }),
    async observe({ raw, folder, eventually }) {
      // The echo keeps the connection; it is idle until Envoy closes it.
      match(await raw("GET /tcp HTTP/1.1\r\nhost: any\r\n\r\n"), /"url":"\/tcp"/);
      const { readFileSync } = await import("node:fs");
      await eventually("it was logged", () => readFileSync(`${folder}/log`, "utf8") === "32\n");
    },
  },
  {
    fact: "what is written while a connection lasts is logged in between",
    options: ["tcp.tcpProxySettings"],
    given: ({ folder }) => ({
      tcp: { tcpProxySettings: { accessLogFlushInterval: "0.1s" } },
      listener: { accessLoggingService: { accessLog: [{ fileSink: { path: `${folder}/log`, stringFormat: "%BYTES_RECEIVED%\n" } }] } },
    }),
    async observe({ raw, folder, eventually }) {
      await raw("GET /delay/2000 HTTP/1.1\r\nhost: any\r\nconnection: close\r\n\r\n");
      const { readFileSync } = await import("node:fs");
      await eventually("it was logged more than once", () => readFileSync(`${folder}/log`, "utf8").split("\n").length > 2);
    },
  },
  {
    fact: "connections go through an HTTP proxy",
    options: ["tcp.tcpProxySettings"],
    given: {
      tcp: {
        tcpProxySettings: {
          tunnelingConfig: { hostname: "inner.test:443", headersToAdd: [{ header: { key: "x-tunnel", value: "yes" } }] },
        },
      },
    },
    async observe({ raw, servers, eventually }) {
      equal(await raw("hello", /connected:hello/), "connected:hello");
      const tunnel = () => servers.echo.received.find(({ method, url }) => method === "CONNECT" && url === "inner.test:443");
      await eventually("the tunnel was asked for", () => tunnel() !== undefined);
      equal(tunnel()?.headers["x-tunnel"], "yes");
    },
  },
  {
    fact: "more connections than that are closed",
    options: ["tcp.connectionLimit"],
    given: { tcp: { connectionLimit: { maxActiveConnections: 1 } } },
    async observe({ raw, port, stat, eventually }) {
      const first = connect(port, "127.0.0.1");
      await eventually("the first is there", async () => (await stat(`listener\\.127\\.0\\.0\\.1_${port}\\.downstream_cx_active`)) > 0);
      const asked = "GET / HTTP/1.1\r\nhost: any\r\nconnection: close\r\n\r\n";
      equal(await raw(asked).catch(() => ""), "");
      let answered = "";
      first.write(asked);
      for await (const chunk of first) answered += chunk;
      match(answered, /^HTTP\/1\.1 200/);
    },
  },
  {
    fact: "connections beyond the bucket are closed",
    options: ["tcp.localRatelimit"],
    given: { tcp: { localRatelimit: { maxTokens: 1, tokensPerFill: 1, fillInterval: "300s" } } },
    async observe({ raw }) {
      const asked = "GET / HTTP/1.1\r\nhost: any\r\nconnection: close\r\n\r\n";
      match(await raw(asked), /^HTTP\/1\.1 200/);
      equal(await raw(asked).catch(() => ""), "");
    },
  },
];
