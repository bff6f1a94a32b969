// AuthConfigs, each kind of check that Envoy can make.
import { deepEqual, equal, ok } from "node:assert/strict";
import { type OptionCase, route, type Seen, shared } from "../option-case.ts";
import { apiKey, authConfig } from "./services.ts";
import { bearer, jwk, ofShop, ofStaff, one, shop, statuses, token, two } from "./signed.ts";

const config = (name: string, namespace: string, configs: readonly object[], more: object = {}) => ({
  ...authConfig(name, namespace),
  spec: { configs, ...more },
});
const ref = (name: string, namespace: string) => ({ extauth: { configRef: { name, namespace } } });
const at = (prefix: string, options: object) => ({ ...route({ options }), matchers: [{ prefix }] });
const grpcServer = ({ servers }: Pick<Seen, "servers">, more: object = {}) => ({
  passThroughAuth: { grpc: { address: `127.0.0.1:${servers.grpc.port}`, connectionTimeout: "5s" }, ...more },
});
const httpServer = (url: string, more: object = {}, of: object = {}) => ({ passThroughAuth: { http: { url, ...more }, ...of } });

const tokens = (accessTokenValidation: object) => ({ oauth2: { accessTokenValidation } });
const localKeys = { jwt: { localJwks: { inlineString: JSON.stringify({ keys: [jwk(one)] }) } } };
const secretless = { tlsConfig: { secretRef: { name: "nobody", namespace: "nowhere" } } };

/** What is not for Envoy. */
const notForEnvoy: readonly (readonly [what: string, says: RegExp, configs: readonly object[], more?: object])[] = [
  ["that is not there", /auth config not found: .* \[create it/, []],
  ["without configs", /has no configs/, []],
  ["of alternatives", /booleanExpr: here checks are joined with &&/, [{ name: "a", apiKeyAuth: {} }], { booleanExpr: "a || b" }],
  ["of an unknown name", /booleanExpr: no config has the name b/, [{ name: "a", apiKeyAuth: {} }], { booleanExpr: "a && b" }],
  [
    "of a name that two have",
    /booleanExpr: several configs have the name a; give each/,
    [
      { name: "a", apiKeyAuth: {} },
      { name: "a", ...httpServer("http://a.test/") },
    ],
    { booleanExpr: "a" },
  ],
  ["of many", /configs: 17 checks are more than the 16/, Array.from({ length: 17 }, () => ({ apiKeyAuth: {} }))],
  ["of nothing", /configs\[0\]: no kind of check is written/, [{}]],
  ["of passwords", /configs\[0\]\.basicAuth: Envoy knows no salted/, [{ basicAuth: {} }]],
  ["of old logins", /configs\[0\]\.oauth: deprecated for oauth2; run a server for logins/, [{ oauth: {} }]],
  ["of no flow", /configs\[1\]\.oauth2: no kind of check/, [{ apiKeyAuth: {} }, { oauth2: {} }]],
  [
    "of logins",
    /oauth2\.oidcAuthorizationCode: Envoy is told too little here to log users in; run a server for logins/,
    [{ oauth2: { oidcAuthorizationCode: {} } }],
  ],
  ["of plain logins", /oauth2\.oauth2: Envoy is told too little here to log users in; run a server/, [{ oauth2: { oauth2: {} } }]],
  [
    "of Open Policy Agent",
    /configs\[0\]\.opaAuth: Envoy runs no policies of Open Policy Agent; run OPA with its Envoy plug-in, and name it in passThrough/,
    [{ opaAuth: {} }],
  ],
  [
    "of a server of Open Policy Agent",
    /configs\[0\]\.opaServerAuth: Envoy runs no policies of Open Policy Agent; run OPA/,
    [{ opaServerAuth: {} }],
  ],
  ["of LDAP", /configs\[0\]\.ldap: Envoy asks no directory; name a server of your own/, [{ ldap: {} }]],
  ["of signed requests", /configs\[0\]\.hmacAuth: Envoy verifies no signatures of requests/, [{ hmacAuth: {} }]],
  ["of a portal", /configs\[0\]\.portalAuth: keys of a portal/, [{ portalAuth: {} }]],
  ["of a plug-in", /configs\[0\]\.pluginAuth: Go plug-ins run/, [{ pluginAuth: {} }]],
  [
    "of earlier tokens",
    /configs\[0\]\.jwt: it names no keys that could verify a token; verify tokens with the option jwtStaged/,
    [{ jwt: {} }],
  ],
  ["of hashed keys", /apiKeyAuth\.hmac: keys are compared/, [{ apiKeyAuth: { hmac: {} } }]],
  [
    "that tells too much",
    /headersFromMetadataEntry: one header can be told/,
    [{ apiKeyAuth: { headersFromMetadataEntry: { "x-a": { name: "a" }, "x-b": { name: "b" } } } }],
  ],
  [
    "of keys in no header",
    /configs\[0\]\.apiKeyAuth\.headerName: "api key" is no name of a header that keys could be in; write one as in/,
    [{ apiKeyAuth: { headerName: "api key" } }],
  ],
  [
    "that tells a host",
    /apiKeyAuth\.headersFromMetadataEntry: "Host" is no name of a header that may be set/,
    [{ apiKeyAuth: { headersFromMetadataEntry: { Host: { name: "a" } } } }],
  ],
  ["of no server", /configs\[0\]\.passThroughAuth: no server is named; add grpc/, [{ passThroughAuth: {} }]],
  ["of no address", /passThroughAuth\.grpc\.address: "auth" is no address/, [{ passThroughAuth: { grpc: { address: "auth" } } }]],
  ["of no URL", /passThroughAuth\.http\.url: "auth\/x" is no URL/, [httpServer("auth/x")]],
  ["of a certificate that is not there", /its server cannot be asked: SSL secret not found/, [httpServer("https://a.test/", secretless)]],
  ["of TLS without TLS", /http\.tlsConfig: the url is one of http/, [httpServer("http://a.test/", secretless)]],
  [
    "of a body",
    /http\.request\.passThroughBody: bodies are told to the one/,
    [httpServer("http://a.test/", { request: { passThroughBody: true } })],
  ],
  ["of state", /http\.request\.passThroughState: it is not known/, [httpServer("http://a.test/", { request: { passThroughState: true } })]],
  [
    "of metadata",
    /passThroughFilterMetadata: servers of http/,
    [httpServer("http://a.test/", { request: { passThroughFilterMetadata: true } })],
  ],
  [
    "of answered state",
    /readStateFromResponse: it is not known/,
    [httpServer("http://a.test/", { response: { readStateFromResponse: true } })],
  ],
  ["of configuration", /passThroughAuth\.config: it is told to servers of grpc/, [httpServer("http://a.test/", {}, { config: { a: 1 } })]],
  [
    "of headers that are none",
    /request\.allowedHeaders: "a b" is no name/,
    [httpServer("http://a.test/", { request: { allowedHeaders: ["a b"] } })],
  ],
  [
    "of another host",
    /headersToAdd: the server gets the host/,
    [httpServer("http://a.test/", { request: { headersToAdd: { Host: "b" } } })],
  ],
  ["of a provider to ask", /accessTokenValidation\.introspection: Envoy asks no provider/, [tokens({ introspection: {} })]],
  ["of no validation", /accessTokenValidation: no kind of validation/, [tokens({})]],
  ["of no keys", /accessTokenValidation\.jwt: no keys are named/, [tokens({ jwt: {} })]],
  ["of keys that are none", /localJwks\.inlineString: the key is neither/, [tokens({ jwt: { localJwks: { inlineString: "x" } } })]],
  ["of keys from nowhere", /remoteJwks\.url: "keys" is no URL that Envoy takes/, [tokens({ jwt: { remoteJwks: { url: "keys" } } })]],
  [
    "of keys from a URL that Envoy refuses",
    /remoteJwks\.url: "http:\/\/a_b\/keys" is no URL that Envoy takes/,
    [tokens({ jwt: { remoteJwks: { url: "http://a_b/keys" } } })],
  ],
  ["of a URL of two lines", /passThroughAuth\.http\.url: .* is no URL/, [httpServer("http://a.test/\nx")]],
  ["of a user to look up", /userinfoUrl: Envoy asks no provider about a user/, [tokens({ ...localKeys, userinfoUrl: "https://a.test" })]],
  ["of groups to look up", /azure: Envoy asks no directory/, [tokens({ ...localKeys, azure: {} })]],
  ["of a scope that is none", /requiredScopes: a scope is a word/, [tokens({ ...localKeys, requiredScopes: { scope: ["a b"] } })]],
  [
    "of claims for no header",
    /claimsToHeaders\[0\]\.header: "x user" is no name/,
    [tokens({ ...localKeys, claimsToHeaders: [{ claim: "sub", header: "x user" }] })],
  ],
];

export const authConfigs: readonly OptionCase[] = [
  {
    fact: "an AuthConfig asks a gRPC server by its address; a route its own, or nobody",
    options: ["virtualHost.extauth", "route.extauth"],
    given: (place) => ({
      objects: [config("asks", place.name, [grpcServer(place)])],
      virtualHost: ref("asks", place.name),
      routes: [at("/open", { extauth: { disable: true } }), route()],
    }),
    async observe({ ask }) {
      const asked = async (path: string, headers = {}) => (await ask(path, { headers })).status;
      deepEqual([await asked("/"), await asked("/", { "x-token": "let-me-in" }), await asked("/open")], [403, 200, 200]);
    },
  },
  {
    fact: "an AuthConfig asks an HTTP server at its URL: it is told what is named, and what it answers goes on as it is written",
    options: ["virtualHost.extauth", "route.extauth"],
    given: ({ name, servers: { other } }) => {
      const url = `http://127.0.0.1:${other.port}/headers?x-user=ann&x-tag=server&x-seen=yes&x-hidden=1`;
      return {
        objects: [
          config("allows", name, [
            httpServer(url, {
              request: { allowedHeaders: ["X-Token", "x-case"], headersToAdd: { "x-asks": "100% gateway" } },
              response: {
                allowedUpstreamHeadersToOverwrite: ["X-User"],
                allowedUpstreamHeaders: ["x-tag"],
                allowedClientHeadersOnSuccess: ["x-seen"],
              },
            }),
          ]),
          config("refuses", name, [
            httpServer(`http://127.0.0.1:${other.port}/status/401`, { response: { allowedClientHeadersOnDenied: ["content-type"] } }),
          ]),
          config("is-silent", name, [httpServer(`http://127.0.0.1:${other.port}/status/418`)]),
        ],
        virtualHost: ref("allows", name),
        routes: [at("/refused", ref("refuses", name)), at("/silent", ref("is-silent", name)), route()],
      };
    },
    async observe({ ask, servers, name }) {
      const headers = { "x-token": "mine", "x-other": "1", "x-user": "root", "x-tag": "client", authorization: "secret" };
      const answer = await ask("/a/b?c=d", { headers });
      const { received } = answer;
      deepEqual([received.url, received.headers["x-user"], received.headers["x-hidden"]], ["/a/b?c=d", "ann", undefined]);
      deepEqual([received.headers["x-tag"], answer.headers["x-seen"]], ["client, server", "yes"]);
      const asked = servers.other.received.find((each) => each.headers["x-case"] === name);
      deepEqual(
        [asked?.url, asked?.headers["x-token"], asked?.headers["x-asks"], asked?.headers["x-other"], asked?.headers.authorization],
        ["/headers?x-user=ann&x-tag=server&x-seen=yes&x-hidden=1", "mine", "100% gateway", undefined, undefined],
      );
      const refused = await ask("/refused");
      deepEqual([refused.status, refused.headers["content-type"]], [401, "application/json"]);
      const silent = await ask("/silent");
      deepEqual([silent.status, silent.headers["content-type"]], [418, "text/plain"]);
    },
  },
  {
    fact: "an AuthConfig tells a gRPC server what is written for it, and the claims of the token; where it does not answer, nobody passes but where that is wanted",
    options: ["virtualHost.extauth", "route.extauth"],
    says: /passThroughAuth: grpc\.retryPolicy has no effect/,
    given: (place) => {
      const nobody = { address: "127.0.0.1:1", retryPolicy: { numRetries: 2 } };
      return {
        objects: [
          config("tells", place.name, [grpcServer(place, { config: { door: "let-me-in", of: place.name } })]),
          config("closed", place.name, [{ passThroughAuth: { grpc: nobody } }]),
          config("lenient", place.name, [{ passThroughAuth: { grpc: nobody, failureModeAllow: true } }]),
        ],
        virtualHost: { ...ref("tells", place.name), jwtStaged: { beforeExtAuth: { providers: { shop } } } },
        routes: [at("/closed", ref("closed", place.name)), at("/lenient", ref("lenient", place.name)), route()],
      };
    },
    async observe(seen) {
      const ann = ofShop({ sub: `ann-of-${seen.name}` });
      deepEqual(
        [...(await statuses(seen, "/", ann, "")), ...(await statuses(seen, "/closed", ann)), ...(await statuses(seen, "/lenient", ann))],
        [200, 401, 403, 200],
      );
      const asked = seen.servers.grpc.received.find(({ text }) => text.includes(`ann-of-${seen.name}`))?.text ?? "";
      for (const each of ["solo.auth.passthrough", "config", seen.name]) ok(asked.includes(each), each);
    },
  },
  {
    fact: "a server is asked over TLS, and believed by the certificate of the authority that is named; by that of another, or of none, it is not",
    options: ["virtualHost.extauth", "route.extauth"],
    given: (place) => {
      const { name, servers } = place;
      const url = `https://127.0.0.1:${servers.secure.port}/`;
      const tls = (secret: string) => ({
        tlsConfig: { secretRef: { name: secret, namespace: name }, sslParams: { minimumProtocolVersion: "TLSv1_2" } },
      });
      return {
        objects: [
          authority("known", name, servers.secure.authority),
          authority("other", name, servers.tls.authority.certificate),
          config("known", name, [httpServer(url, tls("known"))]),
          config("other", name, [httpServer(url, tls("other"))]),
          config("public", name, [httpServer(url)]),
        ],
        virtualHost: ref("known", name),
        routes: [at("/other", ref("other", name)), at("/public", ref("public", name)), route()],
      };
    },
    async observe({ ask }) {
      deepEqual([(await ask()).status, (await ask("/other")).status, (await ask("/public")).status], [200, 403, 403]);
    },
  },
  {
    fact: "all checks of an AuthConfig must let a request pass, or those that an expression joins, one after the other",
    options: ["virtualHost.extauth", "route.extauth", "weighted.extauth"],
    given: (place) => {
      const { name } = place;
      const keys = { name: "keys", apiKeyAuth: { apiKeySecretRefs: [{ name: "ann", namespace: name }] } };
      const all = [keys, { name: "server", ...grpcServer(place) }, { name: "never", ...httpServer("http://127.0.0.1:1/") }];
      return {
        objects: [
          apiKey("ann", name, "key-of-ann", {}),
          config("both", name, all.slice(0, 2)),
          config("joined", name, all, { booleanExpr: "(server && keys)" }),
          config("three", name, all),
        ],
        virtualHost: ref("both", name),
        routes: [
          at("/joined", ref("joined", name)),
          at("/three", ref("three", name)),
          {
            ...route(
              {},
              {
                routeAction: {
                  multi: {
                    destinations: [
                      { weight: 1, destination: { upstream: { name: "echo", namespace: shared } }, options: ref("joined", name) },
                    ],
                  },
                },
              },
            ),
            matchers: [{ prefix: "/weighted" }],
          },
          route(),
        ],
      };
    },
    async observe({ ask }) {
      const key = { "api-key": "key-of-ann" };
      const door = { "x-token": "let-me-in" };
      const all = async (path: string) =>
        Promise.all([{}, key, door, { ...key, ...door }].map(async (headers) => (await ask(path, { headers })).status));
      deepEqual(await all("/"), [401, 403, 401, 200]);
      for (const path of ["/joined", "/weighted"]) deepEqual(await all(path), [403, 403, 401, 200]);
      deepEqual(await all("/three"), [401, 403, 401, 403]);
    },
  },
  {
    fact: "an AuthConfig verifies access tokens: of an issuer, for somebody, with scopes; claims become headers, which clients cannot send",
    options: ["virtualHost.extauth", "route.extauth"],
    given: ({ name, servers }) => {
      const validation = (jwt: object, more: object = {}) => ({ oauth2: { accessTokenValidation: { jwt, ...more } } });
      const keys = { localJwks: { inlineString: JSON.stringify({ keys: [jwk(one)] }) } };
      const url = `http://127.0.0.1:${servers.other.port}/say?text=${encodeURIComponent(JSON.stringify({ keys: [jwk(two)] }))}`;
      return {
        objects: [
          config("shop", name, [
            validation(
              { ...keys, issuer: "https://shop.test", audiences: ["api", "web"] },
              { requiredScopes: { scope: ["read", "shop.write"] }, claimsToHeaders: [{ claim: "sub", header: "X-User" }] },
            ),
          ]),
          config("any", name, [validation(keys)]),
          config("remote", name, [validation({ remoteJwks: { url, refreshInterval: "60s" }, issuer: "staff" })]),
        ],
        virtualHost: ref("shop", name),
        routes: [at("/any", ref("any", name)), at("/remote", ref("remote", name)), at("/open", { extauth: { disable: true } }), route()],
      };
    },
    async observe(seen) {
      const good = { aud: ["web"], sub: "ann" };
      const of = (scopes: object, more: object = good) => ofShop({ ...more, ...scopes });
      deepEqual(
        await statuses(seen, "/", "", ofStaff({ aud: "api", scope: "read shop.write" }), of({ scope: "read shop.write" }, { aud: "x" })),
        [401, 401, 403],
      );
      const enough = [
        { scope: "read shop.write" },
        { scope: "a shop.write read b" },
        { scope: ["shop.write", "read"] },
        { scp: ["read", "shop.write"] },
      ];
      deepEqual(await statuses(seen, "/", ...enough.map((each) => of(each))), [200, 200, 200, 200]);
      const short = [
        {},
        { scope: "read" },
        { scope: "reader shop.write" },
        { scope: "read shopxwrite" },
        { scope: ["read shop.write"] },
        { scope: "" },
      ];
      deepEqual(await statuses(seen, "/", ...short.map((each) => of(each))), [403, 403, 403, 403, 403, 403]);
      const { received } = await seen.ask("/", { headers: { ...bearer(of({ scope: "read shop.write" })).headers, "x-user": "root" } });
      deepEqual([received.headers["x-user"], received.headers.authorization?.slice(0, 7)], ["ann", "Bearer "]);
      deepEqual(await statuses(seen, "/any", token({ iss: "anybody" }), ofShop(), "", ofStaff()), [200, 200, 401, 401]);
      equal((await seen.ask(`/any?access_token=${ofShop()}`)).status, 401);
      deepEqual(await statuses(seen, "/remote", ofStaff(), ofShop(), ""), [200, 401, 401]);
      const open = await seen.ask("/open", { headers: { "x-user": "root" } });
      deepEqual([open.status, open.received.headers["x-user"]], [200, undefined]);
    },
  },
  {
    fact: "of several servers each is told what is written for it, and nothing that is for another",
    options: ["virtualHost.extauth"],
    given: (place) => ({
      objects: [
        config("both", place.name, [
          grpcServer(place, { config: { first: `first-of-${place.name}` } }),
          grpcServer(place, { config: { second: `second-of-${place.name}` } }),
        ]),
      ],
      virtualHost: ref("both", place.name),
    }),
    async observe({ ask, servers, name }) {
      equal((await ask("/", { headers: { "x-token": "let-me-in" } })).status, 200);
      const asked = servers.grpc.received.find(({ text }) => text.includes(`second-of-${name}`))?.text;
      equal(asked?.includes(`first-of-${name}`), false);
    },
  },
  {
    fact: "who an AuthConfig tells it is, clients do not say themselves where a weighted destination has no check, or another",
    options: ["virtualHost.extauth", "weighted.extauth"],
    given: ({ name }) => {
      const weighted = (options: object) => ({
        multi: { destinations: [{ weight: 1, destination: { upstream: { name: "echo", namespace: shared } }, options }] },
      });
      const claims = (header: string) => [tokens({ ...localKeys, claimsToHeaders: [{ claim: "sub", header }] })];
      return {
        objects: [config("told", name, claims("X-User")), config("other", name, claims("x-who"))],
        virtualHost: ref("told", name),
        routes: [
          { matchers: [{ prefix: "/open" }], routeAction: weighted({ extauth: { disable: true } }) },
          { matchers: [{ prefix: "/other" }], routeAction: weighted(ref("other", name)) },
          { matchers: [{ prefix: "/same" }], routeAction: weighted(ref("told", name)) },
        ],
      };
    },
    async observe({ ask }) {
      const headers = { ...bearer(ofShop({ sub: "ann" })).headers, "x-user": "root", "x-who": "root" };
      const who = async (path: string) => {
        const { status, received } = await ask(path, { headers });
        return [status, received.headers["x-user"], received.headers["x-who"]];
      };
      deepEqual(await who("/open"), [200, undefined, "root"]);
      deepEqual(await who("/other"), [200, undefined, "ann"]);
      deepEqual(await who("/same"), [200, "ann", "root"]);
    },
  },
  {
    fact: "what an AuthConfig tells does not lead past another, where tokens have the route chosen anew",
    options: ["virtualHost.extauth", "route.extauth"],
    says: /claims choose the route here, by the header x-user, and not all routes have the same AuthConfig/,
    given: ({ name }) => ({
      objects: [
        apiKey("ann", name, "key-of-ann", {}),
        config("told", name, [tokens({ ...localKeys, claimsToHeaders: [{ claim: "sub", header: "X-User" }] })]),
        authConfig("keys", name, { apiKeySecretRefs: [{ name: "ann", namespace: name }] }),
      ],
      virtualHost: {
        ...ref("told", name),
        jwtStaged: {
          afterExtAuth: { providers: { shop: { ...shop, keepToken: true, claimsToHeaders: [{ claim: "org", header: "x-org" }] } } },
        },
      },
      routes: [
        { ...route({ options: ref("keys", name) }), matchers: [{ prefix: "/", headers: [{ name: "x-user", value: "ann" }] }] },
        route(),
      ],
    }),
    observe: async (seen) => deepEqual(await statuses(seen, "/", ofShop({ sub: "ann" })), [404]),
  },
  {
    fact: "what has no effect on access tokens is said, and where to find it instead",
    options: ["virtualHost.extauth"],
    says: /(?=[\s\S]*dynamicMetadataFromClaims has no effect.*\[read them from envoy\.filters\.http\.jwt_authn, under accessToken\.0)(?=[\s\S]*cacheTimeout has no effect)(?=[\s\S]*append has no effect on sub)(?=[\s\S]*localJwks: a key)/,
    given: ({ name }) => ({
      objects: [
        config("said", name, [
          {
            oauth2: {
              accessTokenValidation: {
                jwt: { localJwks: { inlineString: JSON.stringify({ keys: [jwk(one), { kty: "none" }] }) } },
                cacheTimeout: "60s",
                dynamicMetadataFromClaims: { a: "b" },
                claimsToHeaders: [{ claim: "sub", header: "x-user", append: true }],
              },
            },
          },
        ]),
      ],
      virtualHost: ref("said", name),
    }),
    observe: async (seen) => deepEqual(await statuses(seen, "/", ofShop(), ""), [200, 401]),
  },
  ...notForEnvoy.flatMap(([what, says, configs, more]) =>
    (["virtualHost", "route"] as const).map(
      (level): OptionCase => ({
        fact: `what an AuthConfig ${what} protects is not served, and the user is told what to do instead`,
        // The reference names one of them.
        options: what === "of LDAP" ? [`${level}.extauth`] : [],
        says: new RegExp(`error .*extauth\\.configRef: .*${says.source}`),
        given: ({ name }) => ({
          objects: what === "that is not there" ? [] : [config("any", name, configs, more)],
          [level]: ref("any", name),
        }),
        observe: async ({ ask }) => equal((await ask()).status, 404),
      }),
    ),
  ),
];

const authority = (name: string, namespace: string, certificate: string) => ({
  apiVersion: "v1",
  kind: "Secret",
  metadata: { name, namespace },
  type: "kubernetes.io/tls",
  stringData: { "ca.crt": certificate },
});
