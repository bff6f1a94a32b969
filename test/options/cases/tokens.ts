// JSON Web Tokens, and who may do what by their claims.

import { deepEqual, equal, match, ok } from "node:assert/strict";
import { type OptionCase, route, shared, to } from "../option-case.ts";
import { apiKey, authConfig } from "./services.ts";
import { bearer, edwards, expires, jwk, local, ofShop, ofStaff, one, shop, staff, statuses, token, two } from "./signed.ts";

const at = (prefix: string, options: object) => ({ ...route({ options }), matchers: [{ prefix }] });
const after = (...providers: object[]) => ({
  afterExtAuth: { providers: Object.fromEntries(providers.map((each, i) => [`p${i}`, each])) },
});

const policy = (claims: object, more: object = {}, policyMore: object = {}) => ({
  principals: [{ jwtPrincipal: { claims, ...more } }],
  ...policyMore,
});

/** Early, a header becomes another one, and the route is chosen anew. */
const ledBy = (header: string) => ({
  stagedTransformations: {
    early: {
      requestTransforms: [
        {
          clearRouteCache: true,
          requestTransformation: {
            transformationTemplate: {
              passthrough: {},
              headers: {
                "x-led": { text: `{% if header("${header}") != "" %}{{ header("${header}") }}{% else %}{{ header("x-led") }}{% endif %}` },
              },
            },
          },
        },
      ],
    },
  },
});

export const tokens: readonly OptionCase[] = [
  {
    fact: "only requests with a good token pass; the endpoint does not get it",
    options: ["virtualHost.jwt", "route.jwt"],
    given: {
      virtualHost: { jwt: { providers: { shop } } },
      routes: [at("/open", { jwt: { disable: true } }), at("/closed", { jwt: {} }), route()],
    },
    async observe(seen) {
      const expired = ofShop({ exp: expires - 7200 });
      deepEqual(
        await statuses(seen, "/", "", ofShop(), ofStaff(), expired, token({ iss: "https://shop.test" }, two)),
        [401, 200, 401, 401, 401],
      );
      deepEqual(await statuses(seen, "/open", "", ofStaff()), [200, 200]);
      deepEqual(await statuses(seen, "/closed", "", ofShop()), [401, 200]);
      const answer = await seen.ask("/", bearer(ofShop()));
      equal(answer.received.headers.authorization, undefined);
      match((await seen.ask()).body, /Jwt is missing/);
    },
  },
  {
    fact: "tokens are where it says, may stay, and are for somebody; their claims become headers, which clients cannot send",
    options: ["virtualHost.jwtStaged", "route.jwtStaged"],
    given: {
      virtualHost: {
        jwtStaged: {
          beforeExtAuth: {
            providers: {
              shop: {
                ...shop,
                audiences: ["api"],
                tokenSource: { headers: [{ header: "x-token", prefix: "T " }], queryParams: ["t"] },
                keepToken: true,
                clockSkewSeconds: 7200,
                claimsToHeaders: [
                  { claim: "sub", header: "x-user" },
                  { claim: "https://shop.test/tier", header: "x-tier" },
                ],
              },
            },
          },
        },
      },
      routes: [at("/open", { jwtStaged: { beforeExtAuth: { disable: true } } }), route()],
    },
    async observe({ ask }) {
      const late = ofShop({ aud: ["api"], sub: "ann", "https://shop.test/tier": "gold", exp: expires - 7200 });
      const { received } = await ask("/", { headers: { "x-token": `T ${late}`, "x-user": "root" } });
      deepEqual([received.headers["x-user"], received.headers["x-tier"], received.headers["x-token"]], ["ann", "gold", `T ${late}`]);
      const bare = await ask(`/?t=${ofShop({ aud: "api" })}`, { headers: { "x-user": "root", "x-tier": "gold" } });
      deepEqual([bare.status, bare.received.headers["x-user"], bare.received.headers["x-tier"]], [200, undefined, undefined]);
      equal((await ask("/", bearer(late))).status, 401);
      equal((await ask("/", { headers: { "x-token": `T ${ofShop({ aud: "other" })}` } })).status, 403);
      const open = await ask("/open", { headers: { "x-user": "root", "x-other": "1" } });
      deepEqual([open.status, open.received.headers["x-user"], open.received.headers["x-other"]], [200, undefined, "1"]);
    },
  },
  {
    fact: "any of several providers is enough; keys are PEM, a key, or a set",
    options: ["virtualHost.jwtStaged"],
    given: {
      virtualHost: {
        jwtStaged: after(
          { issuer: "a", ...local(one) },
          { issuer: "b", jwks: { local: { key: JSON.stringify(jwk(two)) } } },
          { issuer: "c", jwks: { local: { key: JSON.stringify({ keys: [jwk(one), { ...jwk(edwards), kid: "e" }] }) } } },
        ),
      },
    },
    async observe(seen) {
      const all = [token({ iss: "a" }), token({ iss: "b" }, two), token({ iss: "c" }, edwards), token({ iss: "b" }), token({ iss: "d" })];
      deepEqual(await statuses(seen, "/", ...all), [200, 200, 200, 401, 401]);
    },
  },
  {
    fact: "keys are fetched through an Upstream, when they are first needed or before",
    options: ["virtualHost.jwtStaged"],
    given: () => {
      const url = `http://keys.test/say?text=${encodeURIComponent(JSON.stringify({ keys: [jwk(one)] }))}`;
      const remote = (more: object) => ({
        issuer: "https://shop.test",
        jwks: { remote: { url, upstreamRef: { name: "other", namespace: shared }, ...more } },
      });
      return {
        virtualHost: { jwtStaged: after(remote({ cacheDuration: "60s" })) },
        routes: [at("/early", { jwtProvidersStaged: after(remote({ asyncFetch: { fastListener: false } })) }), route()],
      };
    },
    async observe(seen) {
      deepEqual(await statuses(seen, "/", ofShop(), "", ofStaff()), [200, 401, 401]);
      deepEqual(await statuses(seen, "/early", ofShop(), "", ofStaff()), [200, 401, 401]);
      const asked = seen.servers.other.received.find(({ url }) => url.startsWith("/say"));
      equal(asked?.headers.host, "keys.test");
    },
  },
  {
    fact: "tokens may be missing, or missing and wrong, where that is wanted",
    options: ["virtualHost.jwtStaged", "route.jwtProvidersStaged"],
    given: {
      virtualHost: { jwtStaged: { afterExtAuth: { providers: { shop }, validationPolicy: "ALLOW_MISSING" } } },
      routes: [
        at("/any", { jwtProvidersStaged: { afterExtAuth: { providers: { shop }, validationPolicy: "ALLOW_MISSING_OR_FAILED" } } }),
        at("/old", { jwtProvidersStaged: { afterExtAuth: { providers: { shop }, allowMissingOrFailedJwt: true } } }),
        route(),
      ],
    },
    async observe(seen) {
      deepEqual(await statuses(seen, "/", "", ofShop(), ofStaff()), [200, 200, 401]);
      deepEqual(await statuses(seen, "/any", "", ofShop(), ofStaff(), "nonsense"), [200, 200, 200, 200]);
      deepEqual(await statuses(seen, "/old", "", ofShop(), ofStaff()), [200, 200, 200]);
    },
  },
  {
    fact: "a route has providers of its own in place of those of its virtual host, and those of another stage beside them",
    options: ["route.jwtProvidersStaged", "virtualHost.rbac", "route.rbac"],
    given: {
      virtualHost: {
        jwtStaged: { beforeExtAuth: { providers: { shop: { ...shop, tokenSource: { headers: [{ header: "x-shop" }] } } } } },
        rbac: { policies: { ann: policy({ sub: "ann" }) } },
      },
      routes: [
        at("/instead", { jwtProvidersStaged: { beforeExtAuth: { providers: { staff } } } }),
        at("/beside", { jwtProvidersStaged: after(staff) }),
        at("/both", { jwtProvidersStaged: after(staff), rbac: { policies: { bob: policy({ sub: "bob" }, { provider: "shop" }) } } }),
        route(),
      ],
    },
    async observe({ ask }) {
      const status = async (path: string, ...[shopper, clerk]: (string | undefined)[]) => {
        const headers = {
          ...(shopper && { "x-shop": ofShop({ sub: shopper }) }),
          ...(clerk && { authorization: `Bearer ${ofStaff({ sub: clerk })}` }),
        };
        return (await ask(path, { headers })).status;
      };
      deepEqual(
        [await status("/"), await status("/", "ann"), await status("/", "bob"), await status("/", undefined, "ann")],
        [401, 200, 403, 401],
      );
      deepEqual(
        [await status("/instead", "ann"), await status("/instead", undefined, "ann"), await status("/instead", undefined, "bob")],
        [401, 200, 403],
      );
      deepEqual(
        [
          await status("/beside", "ann"),
          await status("/beside", "ann", "bob"),
          await status("/beside", "bob", "ann"),
          await status("/beside", "bob", "bob"),
        ],
        [401, 200, 200, 403],
      );
      deepEqual([await status("/both", "bob", "ann"), await status("/both", "ann", "bob")], [200, 403]);
    },
  },
  {
    fact: "claims choose the route, and what clients send in their place does not",
    options: ["virtualHost.jwtStaged"],
    given: {
      virtualHost: { jwtStaged: after({ ...shop, claimsToHeaders: [{ claim: "org", header: "x-org" }] }) },
      routes: [
        { ...route({}, { routeAction: to("other") }), matchers: [{ prefix: "/", headers: [{ name: "x-org", value: "acme" }] }] },
        route(),
      ],
    },
    async observe({ ask }) {
      const server = async (claims: object, headers: object = {}) =>
        (await ask("/", { headers: { ...bearer(ofShop(claims)).headers, ...headers } })).received.server;
      deepEqual([await server({ org: "acme" }), await server({ org: "none" }), await server({})], ["other", "echo", "echo"]);
      equal(await server({}, { "x-org": "acme" }), "echo");
    },
  },
  {
    fact: "external authorization, between the two checks, is told the claims of the first; why a token failed is there for the log",
    options: ["virtualHost.jwtStaged", "http.extauth", "listener.accessLoggingService"],
    given: ({ folder }) => ({
      http: { extauth: { extauthzServerRef: { name: "grpc", namespace: shared }, requestTimeout: "5s" } },
      listener: {
        accessLoggingService: {
          accessLog: [
            {
              fileSink: {
                path: `${folder}/log`,
                stringFormat:
                  "%DYNAMIC_METADATA(envoy.filters.http.jwt_authn:principal:sub)% %DYNAMIC_METADATA(envoy.filters.http.jwt_authn:why:code)% %DYNAMIC_METADATA(envoy.filters.http.jwt_authn:why:message)%\n",
              },
            },
          ],
        },
      },
      virtualHost: {
        extauth: { customAuth: { contextExtensions: {} } },
        jwtStaged: { beforeExtAuth: { providers: { shop: { ...shop, attachFailedStatusToMetadata: "why" } } } },
      },
    }),
    async observe({ ask, folder, servers, eventually }) {
      const wrong = [
        "nonsense",
        ofShop({ exp: expires - 7200 }),
        ofStaff(),
        token({ iss: "https://shop.test" }, two),
        ofShop({ nbf: "soon" }),
      ];
      for (const each of wrong) equal((await ask("/", bearer(each))).status, 401);
      equal((await ask("/", bearer(ofShop({ sub: "ann-of-the-log" })))).status, 403);
      ok(servers.grpc.received.some(({ text }) => text.includes("ann-of-the-log")));
      const { readFileSync } = await import("node:fs");
      const lines = () => readFileSync(`${folder}/log`, "utf8").split("\n");
      await eventually("all is logged", () => lines().length > wrong.length + 1);
      deepEqual(
        lines().map((line) => line.split(" ", 2).join(" ")),
        ["- 4", "- 3", "- 24", "- 26", "- 16", "ann-of-the-log -", ""],
      );
      match(lines()[0] ?? "", /Jwt is not in the form of/);
    },
  },
  {
    fact: "what no policy allows is refused: by claims of each kind, paths and methods; a route has its own policies, or none",
    options: ["virtualHost.rbac", "route.rbac"],
    given: {
      virtualHost: {
        jwtStaged: after(shop, staff),
        rbac: {
          policies: {
            reads: policy({ sub: "ann", role: "reader" }, {}, { permissions: { pathPrefix: "/books", methods: ["GET", "HEAD"] } }),
            verified: policy({ email_verified: "true" }, { matcher: "BOOLEAN" }),
            nested: policy({ "org.unit.name": "till" }, {}, { nestedClaimDelimiter: "." }),
            dotted: policy({ "https://shop.test/x": "y" }),
            listed: policy({ roles: "admin" }, { matcher: "LIST_CONTAINS" }),
            fits: policy({ email: ".*@shop\\.test" }, { matcher: "REGEX_MATCH" }),
            clerk: policy({ sub: "clerk" }, { provider: "p1" }),
          },
        },
      },
      routes: [
        at("/off", { rbac: { disable: true } }),
        at("/own", { rbac: { policies: { own: policy({ sub: "own" }) } } }),
        at("/nobody", { rbac: { policies: { own: policy({ sub: "own" }, {}, { permissions: { methods: ["PUT"] } }) } } }),
        route(),
      ],
    },
    async observe(seen) {
      const { ask } = seen;
      const ann = ofShop({ sub: "ann", role: "reader" });
      equal((await ask("/books/1?x=1", bearer(ann))).status, 200);
      equal((await ask("/books/1", { method: "POST", ...bearer(ann) })).status, 403);
      equal((await ask("/shelves", bearer(ann))).status, 403);
      deepEqual(await statuses(seen, "/books", ofShop({ sub: "ann" }), ofShop({ role: "reader" }), ""), [403, 403, 401]);
      const allowed = [
        { email_verified: true },
        { org: { unit: { name: "till" } } },
        { "https://shop.test/x": "y" },
        { roles: ["clerk", "admin"] },
        { email: "ann@shop.test" },
      ];
      for (const claims of allowed) deepEqual([claims, ...(await statuses(seen, "/", ofShop(claims)))], [claims, 200]);
      const refused = [
        { email_verified: "true" },
        { email_verified: false },
        { "org.unit.name": "till" },
        { roles: "admin" },
        { email: "ann@shop.test.evil" },
        { sub: "clerk" },
      ];
      for (const claims of refused) deepEqual([claims, ...(await statuses(seen, "/", ofShop(claims)))], [claims, 403]);
      equal((await ask("/", bearer(ofStaff({ sub: "clerk" })))).status, 200);
      deepEqual(await statuses(seen, "/off", ofShop(), ""), [200, 401]);
      deepEqual(await statuses(seen, "/own", ofShop({ sub: "own" }), ann, ofShop({ email_verified: true })), [200, 403, 403]);
      deepEqual(await statuses(seen, "/nobody", ofShop({ sub: "own" })), [403]);
      match((await ask("/", bearer(ofShop()))).body, /RBAC: access denied/);
    },
  },
  {
    fact: "claims of several tokens do not add up, and a provider's are its own: whoever has two, or is led to a route of another provider",
    options: ["virtualHost.rbac", "route.rbac"],
    given: () => {
      const providers = { shop: { ...shop, claimsToHeaders: [{ claim: "org", header: "x-org" }] }, staff };
      const pinned = { policies: { admin: policy({ role: "admin" }, { provider: "shop" }) } };
      const clerk = { policies: { clerk: policy({ role: "clerk" }, { provider: "staff" }) } };
      const anyClerk = { policies: { clerk: policy({ role: "clerk" }) } };
      const ofClerks = (prefix: string, rbac: object, checks: object) => ({
        ...route({ options: { rbac, ...checks } }),
        matchers: [{ prefix, headers: [{ name: "x-org", value: "acme" }] }],
      });
      const staffOnly = { jwtProvidersStaged: { afterExtAuth: { providers: { staff } } } };
      const shopOnly = { jwtProvidersStaged: { afterExtAuth: { providers: { shop: providers.shop } } } };
      return {
        virtualHost: { jwtStaged: { afterExtAuth: { providers } }, rbac: pinned },
        routes: [
          at("/sum", { rbac: { policies: { ann: policy({ sub: "ann", role: "admin" }) } } }),
          ofClerks("/led", clerk, staffOnly),
          ofClerks("/any-led", anyClerk, staffOnly),
          at("/led", { rbac: { disable: true }, ...shopOnly }),
          at("/any-led", { rbac: { disable: true }, ...shopOnly }),
          route(),
        ],
      };
    },
    async observe({ ask }) {
      const status = async (path: string, first: string, second: string) =>
        (await ask(`${path}${first && `?access_token=${first}`}`, second === "" ? {} : bearer(second))).status;
      const admin = { role: "admin" };
      deepEqual(
        [
          await status("/", "", ofShop(admin)),
          await status("/", ofShop(admin), ""),
          await status("/", "", ofStaff(admin)),
          await status("/", ofShop(), ofStaff(admin)),
          await status("/", ofStaff(admin), ofShop()),
        ],
        [200, 200, 403, 403, 401],
      );
      deepEqual(
        [
          await status("/sum", "", ofShop({ sub: "ann", ...admin })),
          await status("/sum", "", ofStaff({ sub: "ann", ...admin })),
          await status("/sum", ofShop({ sub: "ann" }), ofStaff(admin)),
          await status("/sum", ofShop(admin), ofStaff({ sub: "ann" })),
          await status("/sum", ofShop({ sub: "ann" }), ofShop(admin)),
        ],
        [200, 200, 403, 403, 403],
      );
      const led = ofShop({ org: "acme", role: "clerk" });
      for (const path of ["/led", "/any-led"])
        deepEqual([await status(path, "", ofShop({ role: "clerk" })), await status(path, "", led)], [200, 403]);
    },
  },
  {
    fact: "claims do not lead past the tokens of a route: what it asks for, it asks for of those who are led to it, too",
    options: ["virtualHost.jwtStaged", "route.jwtProvidersStaged", "route.jwtStaged"],
    given: () => {
      const telling = { ...shop, claimsToHeaders: [{ claim: "org", header: "x-org" }] };
      const led = (prefix: string, options: object) => ({
        ...route({ options }, { routeAction: to("other") }),
        matchers: [{ prefix, headers: [{ name: "x-org", value: "acme" }] }],
      });
      const staffOnly = { jwtProvidersStaged: after(staff) };
      return {
        virtualHost: { jwtStaged: { afterExtAuth: { providers: { p0: telling } } } },
        routes: [
          // The name of its provider is that of the other's.
          led("/staff", staffOnly),
          led("/anyone", { rbac: { policies: { any: policy({ role: "any" }) } }, ...staffOnly }),
          led("/more", {
            jwtProvidersStaged: {
              beforeExtAuth: { providers: { staff: { ...staff, tokenSource: { headers: [{ header: "x-staff" }] } } } },
            },
          }),
          led("/optional", { jwtProvidersStaged: { afterExtAuth: { providers: { staff }, validationPolicy: "ALLOW_MISSING" } } }),
          led("/missing", { jwtProvidersStaged: { afterExtAuth: { providers: { telling }, validationPolicy: "ALLOW_MISSING" } } }),
          led("/open", { jwtStaged: { afterExtAuth: { disable: true } } }),
          route(),
        ],
      };
    },
    async observe({ ask }) {
      const status = async (path: string, headers: Readonly<Record<string, string>>) => (await ask(path, { headers })).status;
      const [acme, none, clerk] = [bearer(ofShop({ org: "acme", role: "any" })), bearer(ofShop()), bearer(ofStaff({ role: "any" }))];
      const forged = { "x-org": "acme" };
      const all = async (path: string) => [
        await status(path, acme.headers),
        await status(path, none.headers),
        await status(path, { ...clerk.headers, ...forged }),
        await status(path, { ...none.headers, ...forged }),
        await status(path, forged),
      ];
      // Led by a claim; not led; by what the client says, with the token of the route, and with that of others; without a token.
      deepEqual(await all("/staff"), [403, 200, 200, 401, 401]);
      deepEqual(await all("/anyone"), [403, 200, 200, 401, 401]);
      deepEqual(await all("/more"), [403, 200, 401, 401, 401]);
      deepEqual(await status("/more", { ...acme.headers, "x-staff": ofStaff(), ...forged }), 200);
      deepEqual(await all("/optional"), [200, 200, 200, 401, 200]);
      // Without a token nobody says acme: the request is led to the route that wants one.
      deepEqual(await all("/missing"), [200, 200, 401, 200, 403]);
      deepEqual(await all("/open"), [200, 200, 200, 200, 200]);
    },
  },
  {
    fact: "an early transformation that has the route chosen anew leads nobody past tokens",
    options: ["virtualHost.stagedTransformations", "route.jwtProvidersStaged"],
    given: {
      virtualHost: ledBy("x-in"),
      routes: [
        {
          ...route({ options: { jwtProvidersStaged: { beforeExtAuth: { providers: { shop } } } } }),
          matchers: [{ prefix: "/", headers: [{ name: "x-led", value: "yes" }] }],
        },
        route(),
      ],
    },
    async observe({ ask }) {
      const status = async (headers: object) => (await ask("/", { headers: { ...headers } })).status;
      const { headers } = bearer(ofShop());
      deepEqual([await status({}), await status({ "x-led": "yes" }), await status({ "x-led": "yes", ...headers })], [200, 401, 200]);
      // Envoy's access rules refuse it; the embedded data plane asks for the token of the new route.
      ok([401, 403].includes(await status({ "x-in": "yes" })));
    },
  },
  {
    fact: "an early transformation that has the route chosen anew leads nobody past an AuthConfig",
    options: ["virtualHost.stagedTransformations", "route.extauth"],
    says: /error virtualHost\.options\.stagedTransformations: an early transformation has the route chosen anew here \(clearRouteCache\), and not all/,
    given: ({ name }) => ({
      objects: [authConfig("keys", name, {})],
      virtualHost: ledBy("x-in"),
      routes: [
        {
          ...route({ options: { extauth: { configRef: { name: "keys", namespace: name } } } }),
          matchers: [{ prefix: "/", headers: [{ name: "x-led", value: "yes" }] }],
        },
        route(),
      ],
    }),
    observe: async ({ ask }) => equal((await ask("/", { headers: { "x-in": "yes" } })).status, 404),
  },
  {
    fact: "claims do not lead past API keys: where they choose the route, all routes have the same",
    options: ["virtualHost.jwtStaged", "virtualHost.extauth", "route.extauth"],
    says: /error .*claims choose the route here, by the header x-org, and not all routes have the same AuthConfig/,
    given: ({ name }) => ({
      objects: [apiKey("ann", name, "key-of-ann", {}), authConfig("keys", name, { apiKeySecretRefs: [{ name: "ann", namespace: name }] })],
      virtualHost: { jwtStaged: after({ ...shop, claimsToHeaders: [{ claim: "org", header: "x-org" }] }) },
      routes: [
        { ...route({}), matchers: [{ prefix: "/", headers: [{ name: "x-org", value: "acme" }] }] },
        route({ options: { extauth: { configRef: { name: "keys", namespace: name } } } }),
      ],
    }),
    async observe({ ask }) {
      const { headers } = bearer(ofShop({ org: "none" }));
      equal((await ask("/", { headers })).status, 404);
      equal((await ask("/", { headers: { ...headers, "x-org": "acme" } })).status, 404);
    },
  },
  {
    fact: "headers of claims are those of the token that was good: clients send neither those of other providers nor those a route has no check for",
    options: ["virtualHost.jwtStaged", "route.jwtProvidersStaged", "route.jwtStaged"],
    given: () => {
      const kept = (provider: object, header?: string) => ({
        ...provider,
        keepToken: true,
        ...(header && { claimsToHeaders: [{ claim: "sub", header }] }),
      });
      const inHeader = { ...kept(shop, "x-user"), tokenSource: { headers: [{ header: "x-shop" }] } };
      const desk = [
        { claim: "sub", header: "X-User" },
        { claim: "desk", header: "x-desk" },
      ];
      return {
        virtualHost: { jwtStaged: { beforeExtAuth: { providers: { inHeader } }, ...after({ ...staff, claimsToHeaders: desk }) } },
        routes: [
          at("/first", { jwtStaged: { afterExtAuth: { disable: true } } }),
          at("/none", { jwtProvidersStaged: { beforeExtAuth: { providers: { staff: kept(staff) } }, ...after(staff) } }),
          at("/several", {
            jwtProvidersStaged: {
              beforeExtAuth: { providers: { a: kept(shop, "x-user"), b: kept(staff, "x-desk") } },
              ...after(shop, staff),
            },
          }),
          route(),
        ],
      };
    },
    async observe({ ask }) {
      const told = async (path: string, headers: Readonly<Record<string, string>>) => {
        const { status, received } = await ask(path, { headers: { "x-user": "root", "x-desk": "root", ...headers } });
        equal(status, 200);
        return [received.headers["x-user"], received.headers["x-desk"]];
      };
      const [ann, bob] = [ofShop({ sub: "ann" }), ofStaff({ sub: "bob" })];
      deepEqual(await told("/first", { "x-shop": ann }), ["ann", undefined]);
      deepEqual(await told("/none", bearer(bob).headers), [undefined, undefined]);
      deepEqual(await told("/several", bearer(ann).headers), ["ann", undefined]);
      deepEqual(await told("/several", bearer(bob).headers), [undefined, "bob"]);
    },
  },
  {
    fact: "policies that are none allow nothing",
    options: ["virtualHost.rbac"],
    says: /rbac\.policies: there is no policy, so every request is refused \[write a policy/,
    given: { virtualHost: { rbac: {} }, routes: [at("/off", { rbac: { disable: true } }), route()] },
    observe: async (seen) => deepEqual([...(await statuses(seen, "/", "")), ...(await statuses(seen, "/off", ""))], [403, 200]),
  },
  {
    fact: "policies without verified tokens allow nothing, which is said",
    options: ["virtualHost.rbac"],
    says: /rbac\.policies: no token is verified here/,
    given: { virtualHost: { rbac: { policies: { any: policy({ sub: "ann" }) } } } },
    observe: async (seen) => deepEqual(await statuses(seen, "/", "", ofShop({ sub: "ann" })), [403, 403]),
  },
  {
    fact: "claims of a provider that is none are nobody's, which is said",
    options: ["virtualHost.rbac"],
    says: /rbac\.policies\.any\.principals\[0\]\.jwtPrincipal\.provider: "shpo" is no provider of tokens here.*\[the providers are shop\]/,
    given: { virtualHost: { jwt: { providers: { shop } }, rbac: { policies: { any: policy({ sub: "ann" }, { provider: "shpo" }) } } } },
    observe: async (seen) => deepEqual(await statuses(seen, "/", ofShop({ sub: "ann" })), [403]),
  },
  ...unusable("virtualHost"),
  ...unusable("route"),
  {
    fact: "keys that cannot be fetched let nobody in, which is said",
    options: ["virtualHost.jwtStaged"],
    says: /remote\.upstreamRef: .*shared\.nobody.* not found \[without it there are no keys/,
    given: {
      virtualHost: {
        jwtStaged: after({
          issuer: "a",
          jwks: { remote: { url: "https://keys.test/", upstreamRef: { name: "nobody", namespace: shared } } },
        }),
      },
    },
    observe: async (seen) => deepEqual(await statuses(seen, "/", "", token({ iss: "a" })), [401, 401]),
  },
  {
    fact: "what has no effect is said: appending claims, no skew, an issuer that is none, a private key",
    options: ["virtualHost.jwtStaged"],
    says: /(?=[\s\S]*append: the claim replaces)(?=[\s\S]*clockSkewSeconds: Envoy takes 0)(?=[\s\S]*issuer: the issuer "shop\\n")(?=[\s\S]*key: the key is private)/,
    given: {
      virtualHost: {
        jwtStaged: after({
          issuer: "shop\n",
          clockSkewSeconds: 0,
          claimsToHeaders: [{ claim: "sub", header: "x-user", append: true }],
          jwks: { local: { key: JSON.stringify(one.privateKey.export({ format: "jwk" })) } },
        }),
      },
    },
    observe: async (seen) => deepEqual(await statuses(seen, "/", "", ofShop()), [401, 401]),
  },
];

/** A virtual host, or a route, that cannot be protected as it is written is not served. */
function unusable(level: "virtualHost" | "route"): OptionCase[] {
  const jwtField = level === "virtualHost" ? "jwtStaged" : "jwtProvidersStaged";
  const withRbac = (rule: object) => ({ rbac: { policies: { p: rule } } });
  const written: readonly (readonly [what: string, says: RegExp, options: Record<string, unknown>])[] = [
    ["no provider", /afterExtAuth\.providers: no provider is named/, { [jwtField]: { afterExtAuth: {} } }],
    ["no keys", /providers\.p0\.jwks: the provider has no keys/, { [jwtField]: after({ issuer: "a" }) }],
    ["a key that is none", /local\.key: the key is neither/, { [jwtField]: after({ jwks: { local: { key: "secret" } } }) }],
    [
      "a URL that is none",
      /remote\.url: "ftp:\/\/keys" is no URL/,
      { [jwtField]: after({ jwks: { remote: { url: "ftp://keys", upstreamRef: { name: "echo", namespace: shared } } } }) },
    ],
    [
      "no Upstream of the keys",
      /remote\.upstreamRef: no Upstream is named/,
      { [jwtField]: after({ jwks: { remote: { url: "https://keys.test" } } }) },
    ],
    [
      "a time that is none",
      /providers\.p0: Envoy would refuse remoteJwks\.cacheDuration/,
      {
        [jwtField]: after({
          jwks: { remote: { url: "https://keys.test", upstreamRef: { name: "echo", namespace: shared }, cacheDuration: "0s" } },
        }),
      },
    ],
    [
      "a header that is none",
      /claimsToHeaders\[0\]\.header: "x user" is no name/,
      { [jwtField]: after({ ...shop, claimsToHeaders: [{ claim: "sub", header: "x user" }] }) },
    ],
    ["nobody", /policies\.p\.principals: the policy is about nobody/, withRbac({})],
    ["no claims", /principals\[0\]\.jwtPrincipal\.claims: no claim is asked for/, withRbac(policy({}))],
    ["a boolean that is none", /claims\.ok: "yes" is no boolean/, withRbac(policy({ ok: "yes" }, { matcher: "BOOLEAN" }))],
    ["an expression that is none", /claims\.ok: error parsing regexp/, withRbac(policy({ ok: "(" }, { matcher: "REGEX_MATCH" }))],
    [
      "a nested claim without a name",
      /claims\.a\.\.b: .* has a part without a name/,
      withRbac(policy({ "a..b": "c" }, {}, { nestedClaimDelimiter: "." })),
    ],
  ];
  return written.map(([what, says, options]) => ({
    fact: `what cannot be protected as it is written is not served: ${what}`,
    // The reference names one of each.
    options: ["no keys", "no claims"].includes(what) ? Object.keys(options).map((name) => `${level}.${name}`) : [],
    says: new RegExp(`error [\\s\\S]*${says.source}[\\s\\S]* \\[.+\\]`),
    given: { [level]: options },
    observe: async (seen) => deepEqual(await statuses(seen, "/", "", ofShop()), [404, 404]),
  }));
}
