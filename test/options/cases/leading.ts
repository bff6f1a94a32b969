// Servers that see a request before its checks lead nobody past them: a processor (`extProcEarly`), and those that authorize.
import { deepEqual, equal, ok } from "node:assert/strict";
import { type OptionCase, object, type Place, route, shared, to } from "../option-case.ts";
import { apiKey, authConfig } from "./services.ts";
import { bearer, ofShop, shop } from "./signed.ts";

const server = { name: "grpc", namespace: shared };
const early = (more: object = {}) => ({ extProcEarly: { grpcService: { extProcServerRef: server, timeout: "5s" }, ...more } });
const led = { headers: { "x-in": "lead-me" } };

/** What is matched by a header that the server sets. */
const closed = (options: object) => ({
  ...route({ options }, { routeAction: to("other") }),
  matchers: [{ prefix: "/", headers: [{ name: "x-led", value: "yes" }] }],
});
const ref = (name: string) => ({ extauth: { configRef: { name: "keys", namespace: name } } });
const keys = ({ name }: Place) => [
  apiKey("ann", name, "key-of-ann", {}),
  authConfig("keys", name, { apiKeySecretRefs: [{ name: "ann", namespace: name }] }),
];
const claims = { jwtStaged: { afterExtAuth: { providers: { shop: { ...shop, claimsToHeaders: [{ claim: "org", header: "x-org" }] } } } } };

/** Another virtual host of the same listener, which asks for a key. */
const guardedHost = ({ name, host }: Place) =>
  object(
    "VirtualService",
    "other",
    name,
    { virtualHost: { domains: [`other.${host}`], options: ref(name), routes: [route()] } },
    { listener: shared },
  );
const earlyHeader = (name: string, text: string, more: object = {}) => ({
  stagedTransformations: {
    early: {
      requestTransforms: [
        { ...more, requestTransformation: { transformationTemplate: { passthrough: {}, headers: { [name]: { text } } } } },
      ],
    },
  },
});

export const leading: readonly OptionCase[] = [
  {
    fact: "a processor that may have the route chosen anew leads nobody past an AuthConfig",
    options: ["http.extProcEarly", "route.extauth"],
    says: /error .*: extProcEarly may have the route chosen anew here, and not all routes have the same AuthConfig \[write disableClearRouteCache: true/,
    given: (place) => ({ objects: keys(place), http: early(), routes: [closed(ref(place.name)), route()] }),
    observe: async ({ ask }) => deepEqual([(await ask("/")).status, (await ask("/", led)).status], [404, 404]),
  },
  {
    fact: "so does one that is put in front of authorization",
    options: ["http.extProc", "route.extauth"],
    says: /error .*: extProc may have the route chosen anew here/,
    given: (place) => ({
      objects: keys(place),
      http: { extProc: { ...early().extProcEarly, filterStage: { stage: "WafStage" } } },
      routes: [closed(ref(place.name)), route()],
    }),
    observe: async ({ ask }) => deepEqual([(await ask("/")).status, (await ask("/", led)).status], [404, 404]),
  },
  {
    fact: "with disableClearRouteCache the route stays that whose checks were made",
    options: ["http.extProcEarly", "route.extauth"],
    given: (place) => ({
      objects: keys(place),
      http: early({ disableClearRouteCache: true }),
      routes: [closed(ref(place.name)), route()],
    }),
    async observe({ ask }) {
      const { status, received } = await ask("/", led);
      deepEqual([status, received.server, received.headers["x-led"]], [200, "echo", "yes"]);
      equal((await ask("/", { headers: { "x-led": "yes" } })).status, 401);
    },
  },
  {
    fact: "a virtual host that turns the processor off has routes with several AuthConfigs",
    options: ["virtualHost.extProcEarly", "route.extauth"],
    given: (place) => ({
      objects: keys(place),
      http: early(),
      virtualHost: { extProcEarly: { disabled: true } },
      routes: [closed(ref(place.name)), route()],
    }),
    async observe({ ask }) {
      equal((await ask("/", led)).received.headers["x-led"], undefined);
      equal((await ask("/", { headers: { "x-led": "yes" } })).status, 401);
    },
  },
  {
    fact: "a processor that may change the host leads nobody to the AuthConfig of another virtual host",
    options: ["http.extProcEarly", "virtualHost.extauth"],
    says: /error .*extauth: extProcEarly may lead requests here that came for another virtual host/,
    given: (place) => ({
      objects: keys(place),
      http: early({ mutationRules: { allowAllRouting: true } }),
      virtualHost: { ...ref(place.name), extProcEarly: { disabled: true } },
    }),
    observe: async ({ ask }) => equal((await ask("/", { headers: { "api-key": "key-of-ann" } })).status, 404),
  },
  {
    fact: "a processor that has the route chosen anew leads nobody past tokens",
    options: ["http.extProcEarly", "route.jwtProvidersStaged"],
    given: { http: early(), routes: [closed({ jwtProvidersStaged: { beforeExtAuth: { providers: { shop } } } }), route()] },
    async observe({ ask }) {
      const { headers } = bearer(ofShop());
      const own = await ask("/", { headers: { ...headers, "x-led": "yes" } });
      deepEqual([(await ask("/")).received.server, own.status, own.received.server], ["echo", 200, "other"]);
      // Envoy's access rules refuse it; the embedded data plane asks for the token of the new route.
      ok([401, 403].includes((await ask("/", led)).status));
    },
  },
  {
    fact: "a server that has the route chosen anew leads nobody past an AuthConfig",
    options: ["http.extauth", "route.extauth"],
    says: /error .*: the server of extauth may have the route chosen anew here \(clearRouteCache\), and not all .*\[leave clearRouteCache out/,
    given: (place) => ({
      objects: keys(place),
      http: { extauth: { extauthzServerRef: server, requestTimeout: "5s", clearRouteCache: true } },
      virtualHost: { extauth: { customAuth: {} } },
      routes: [closed(ref(place.name)), route()],
    }),
    observe: async ({ ask }) => equal((await ask("/", { headers: { "x-in": "let-me-in" } })).status, 404),
  },
  ...["host", ":authority"].map(
    (header): OptionCase => ({
      fact: `an early transformation that changes ${header} and has the route chosen anew leads nobody past the checks of another virtual host`,
      options: ["virtualHost.stagedTransformations"],
      says: /error .*requestTransforms\[0\]\.clearRouteCache: an early transformation that changes the host would lead past the checks of other virtual hosts/,
      given: (place) => ({
        objects: [...keys(place), guardedHost(place)],
        virtualHost: earlyHeader(header, `other.${place.host}`, { clearRouteCache: true }),
      }),
      observe: async ({ ask, host }) => {
        equal((await ask("/")).status, 404);
        equal((await ask("/", { host: `other.${host}` })).status, 401);
      },
    }),
  ),
  ...["host", ":authority"].map(
    (header): OptionCase => ({
      fact: `an early transformation that changes ${header} leads nobody past the checks of another virtual host, where claims have the route chosen anew`,
      options: ["virtualHost.stagedTransformations", "virtualHost.jwtStaged"],
      says: /error .*jwtStaged: an early transformation changes the host here and claimsToHeaders then has the route chosen anew.*\[change the host in the regular stage/,
      given: (place) => ({
        objects: [...keys(place), guardedHost(place)],
        virtualHost: { ...claims, ...earlyHeader(header, `other.${place.host}`) },
      }),
      async observe({ ask, host }) {
        equal((await ask("/", bearer(ofShop()))).status, 404);
        equal((await ask("/", { host: `other.${host}` })).status, 401);
      },
    }),
  ),
  {
    fact: "so does one of a route, where the server of extauth has it chosen anew",
    options: ["route.stagedTransformations", "http.extauth"],
    says: /error .*: an early transformation changes the host here and the server of extauth \(clearRouteCache\) then has the route chosen anew/,
    given: {
      http: { extauth: { extauthzServerRef: server, requestTimeout: "5s", clearRouteCache: true } },
      virtualHost: { extauth: { customAuth: {} } },
      routes: [route({ options: earlyHeader("host", "other.test") })],
    },
    observe: async ({ ask }) => equal((await ask("/", { headers: { "x-in": "let-me-in" } })).status, 404),
  },
  {
    fact: "a processor that may change the host leads nobody past the checks of another virtual host, where claims have the route chosen anew",
    options: ["http.extProcEarly", "virtualHost.jwtStaged"],
    says: /error .*jwtStaged: extProcEarly changes the host here and claimsToHeaders then has the route chosen anew/,
    given: { http: early({ disableClearRouteCache: true, mutationRules: { allowAllRouting: true } }), virtualHost: claims },
    observe: async ({ ask }) => equal((await ask("/", bearer(ofShop()))).status, 404),
  },
  {
    fact: "an early transformation that changes the host is served, where nothing has the route chosen anew",
    options: ["virtualHost.stagedTransformations"],
    given: (place) => ({
      objects: [...keys(place), guardedHost(place)],
      virtualHost: earlyHeader("host", `other.${place.host}`),
    }),
    async observe({ ask, host }) {
      const { status, received } = await ask("/");
      deepEqual([status, received.headers.host], [200, `other.${host}`]);
    },
  },
  ...changing("an authorization server", { extauth: { extauthzServerRef: server, requestTimeout: "5s" } }, { extauth: { customAuth: {} } }),
  ...changing("extProcEarly", early({ disableClearRouteCache: true }), {}),
];

/** Claims have the route chosen anew, whatever they are. */
function changing(who: string, http: object, virtualHost: object): OptionCase[] {
  return [
    {
      fact: `what ${who} may have changed leads nobody past an AuthConfig, where claims have the route chosen anew`,
      options: ["virtualHost.jwtStaged", "route.extauth"],
      says: new RegExp(`error .*: claims have the route chosen anew here, by what ${who} may have changed, and not all routes`),
      given: (place) => ({
        objects: keys(place),
        http,
        virtualHost: { ...claims, ...virtualHost },
        routes: [closed(ref(place.name)), route()],
      }),
      observe: async ({ ask }) => equal((await ask("/", { headers: { ...led.headers, ...bearer(ofShop()).headers } })).status, 404),
    },
    {
      fact: `what ${who} may have changed leads nobody past tokens, where claims have the route chosen anew`,
      options: ["virtualHost.jwtStaged", "route.jwtProvidersStaged"],
      given: {
        http,
        virtualHost: { ...claims, ...virtualHost },
        routes: [closed({ jwtProvidersStaged: { beforeExtAuth: { providers: { other: { ...shop, audiences: ["other"] } } } } }), route()],
      },
      async observe({ ask }) {
        const say = (text: string) => ask("/", { headers: { "x-in": text, ...bearer(ofShop()).headers } });
        // The one of authorization lets in, and changes nothing.
        equal((await say("let-me-in")).status, 200);
        if (who === "extProcEarly") ok([401, 403].includes((await say("lead-me")).status));
      },
    },
  ];
}
