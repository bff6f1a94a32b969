// JWTs in the embedded data plane and in Envoy: the same providers and rules, the same requests let in and refused, in the same words.

import { once } from "node:events";
import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { createServer, type Server } from "node:http";
import type { AddressInfo } from "node:net";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { CompactSign, exportJWK, generateKeyPair, SignJWT } from "jose";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { type RawUpstream, rawUpstream } from "../../src/dataplane/testing/raw.ts";
import { staticCluster } from "../../src/dataplane/testing/resources.ts";
import { packAny } from "../../src/envoy/encode.ts";
import { JwtAuthenticationSchema, PerRouteConfigSchema } from "../../src/gen/envoy/envoy/extensions/filters/http/jwt_authn/v3/config_pb.js";
import { differencesOf, hasNoEnvoy, managerWith, toRoute } from "./filters.ts";
import { type Planes, startPlanes } from "./planes.ts";
import { request } from "./requests.ts";

const name = "envoy.filters.http.jwt_authn";
/** Put in the place of what a good token says. */
const wrongClaims = [
  { exp: "1" },
  { exp: null },
  { exp: -1 },
  { exp: 1e30 },
  { nbf: "2100-01-01" },
  { nbf: [4_000_000_000] },
  { iat: true },
  { iat: {} },
  { iss: 1 },
  { sub: null },
  { jti: 1 },
  { aud: 1 },
  { aud: ["https://api/", 1] },
];
const perRoute = (requirementSpecifier: object) => ({ [name]: packAny(PerRouteConfigSchema, { requirementSpecifier } as never) });

describe.skipIf(hasNoEnvoy("JWT"))("JWT in the embedded data plane and in Envoy", () => {
  let upstream: RawUpstream;
  let server: Server;
  let planes: Planes;
  let folder: string;
  const tokens: Record<string, string> = {};

  beforeAll(async () => {
    upstream = await rawUpstream("a");
    const [rsa, ec, other] = await Promise.all([generateKeyPair("RS256"), generateKeyPair("ES256"), generateKeyPair("RS256")]);
    const local = JSON.stringify({ keys: [{ ...(await exportJWK(rsa.publicKey)), kid: "one", alg: "RS256" }] });
    const second = await generateKeyPair("ES256");
    const pair = [await exportJWK(second.publicKey), await exportJWK(ec.publicKey)];
    const remote = JSON.stringify({ keys: pair.map((key) => ({ ...key, alg: "ES256" })) });
    server = createServer((asked, answer) => answer.writeHead(asked.url === "/keys" ? 200 : 404).end(remote)).listen(0, "127.0.0.1");
    await once(server, "listening");
    const now = Math.floor(Date.now() / 1_000);
    const sign = (claims: object, key = rsa.privateKey, alg = "RS256", kid = "one") =>
      new SignJWT(claims as never).setProtectedHeader({ alg, ...(kid !== "" && { kid }) }).sign(key);
    // As it is: libraries refuse to sign claims of the wrong type.
    const signText = (claims: object, header: object = {}) =>
      new CompactSign(Buffer.from(JSON.stringify(claims))).setProtectedHeader({ alg: "RS256", ...header }).sign(rsa.privateKey);
    const good = {
      iss: "local",
      sub: "alice",
      aud: "https://api/",
      exp: now + 3_600,
      roles: ["a", "b"],
      org: { name: "acme" },
      level: 3,
      admin: true,
    };
    Object.assign(tokens, {
      good: await sign(good),
      expired: await sign({ ...good, exp: now - 3_600 }),
      early: await sign({ ...good, nbf: now + 3_600 }),
      audience: await sign({ ...good, aud: "other" }),
      issuer: await sign({ ...good, iss: "unknown" }),
      file: await sign({ ...good, iss: "file" }),
      forged: await sign(good, other.privateKey),
      kid: await sign(good, rsa.privateKey, "RS256", "two"),
      remote: await sign({ iss: "remote", sub: "bob" }, ec.privateKey, "ES256", ""),
      cookie: await sign({ iss: "cookie", sub: "eve" }, ec.privateKey, "ES256", ""),
      elsewhere: await sign({ iss: "elsewhere" }, ec.privateKey, "ES256", ""),
      expiredRemote: await sign({ iss: "remote", sub: "bob", exp: now - 3_600 }, ec.privateKey, "ES256", ""),
      ...Object.fromEntries(
        await Promise.all(wrongClaims.map(async (wrong) => [JSON.stringify(wrong), await signText({ ...good, ...wrong })])),
      ),
      kidOfNumber: await signText(good, { kid: 1 }),
      noAlgorithm: `${Buffer.from("{}").toString("base64url")}.${Buffer.from(JSON.stringify(good)).toString("base64url")}.eA`,
      otherAlgorithm: `${Buffer.from('{"alg":"none"}').toString("base64url")}.${Buffer.from(JSON.stringify(good)).toString("base64url")}.eA`,
      nonsense: "abc",
      dots: "a.b.c",
    });
    const uri = (path: string) => ({
      uri: `http://keys.example${path}`,
      httpUpstreamType: { case: "cluster", value: "keys" },
      timeout: { seconds: 5n },
    });
    folder = mkdtempSync(join(tmpdir(), "jwt-"));
    writeFileSync(join(folder, "keys"), local);
    const providers = {
      local: {
        issuer: "local",
        audiences: ["api"],
        forward: true,
        forwardPayloadHeader: "x-payload",
        payloadInMetadata: "payload",
        claimToHeaders: [
          { headerName: "x-sub", claimName: "sub" },
          { headerName: "x-org", claimName: "org.name" },
          { headerName: "x-level", claimName: "level" },
          { headerName: "x-admin", claimName: "admin" },
          { headerName: "x-roles", claimName: "roles" },
          { headerName: "x-none", claimName: "none" },
        ],
        jwksSourceSpecifier: { case: "localJwks", value: { specifier: { case: "inlineString", value: local } } },
      },
      remote: {
        issuer: "remote",
        fromHeaders: [{ name: "x-token", valuePrefix: "" }],
        fromParams: ["token"],
        jwksSourceSpecifier: { case: "remoteJwks", value: { httpUri: uri("/keys"), cacheDuration: { seconds: 60n } } },
      },
      cookie: {
        issuer: "cookie",
        fromCookies: ["jar"],
        jwksSourceSpecifier: { case: "localJwks", value: { specifier: { case: "inlineString", value: remote } } },
      },
      file: {
        issuer: "file",
        fromHeaders: [{ name: "x-token", valuePrefix: "" }],
        claimToHeaders: [{ headerName: "x-user", claimName: "sub" }],
        jwksSourceSpecifier: { case: "localJwks", value: { specifier: { case: "filename", value: join(folder, "keys") } } },
      },
      broken: {
        issuer: "elsewhere",
        fromHeaders: [{ name: "x-token", valuePrefix: "" }],
        jwksSourceSpecifier: { case: "remoteJwks", value: { httpUri: uri("/nothing") } },
      },
    };
    const provider = (value: string) => ({ requiresType: { case: "providerName", value } });
    const list = (kind: string, ...requirements: object[]) => ({ requiresType: { case: kind, value: { requirements } } });
    const rule = (prefix: string, requires?: object) => ({
      match: { pathSpecifier: { case: "prefix", value: prefix } },
      ...(requires && { requirementType: { case: "requires", value: requires } }),
    });
    const config = {
      providers,
      bypassCorsPreflight: true,
      requirementMap: { remote: provider("remote") },
      rules: [
        rule("/open"),
        rule("/remote", provider("remote")),
        rule("/broken", provider("broken")),
        rule("/file/optional", list("requiresAny", provider("file"), { requiresType: { case: "allowMissing", value: {} } })),
        rule("/file", provider("file")),
        rule("/any", list("requiresAny", provider("local"), provider("remote"))),
        rule("/all", list("requiresAll", provider("local"), provider("remote"))),
        rule("/other-audience", { requiresType: { case: "providerAndAudiences", value: { providerName: "local", audiences: ["other"] } } }),
        rule("/optional", list("requiresAny", provider("local"), { requiresType: { case: "allowMissing", value: {} } })),
        rule("/whatever", list("requiresAny", provider("local"), { requiresType: { case: "allowMissingOrFailed", value: {} } })),
        rule("/cookie", provider("cookie")),
        rule("/missing", { requiresType: { case: "allowMissing", value: {} } }),
        rule("/failed", { requiresType: { case: "allowMissingOrFailed", value: {} } }),
        rule("/", provider("local")),
      ],
    };
    const routes = [
      toRoute("/off", perRoute({ case: "disabled", value: true })),
      toRoute("/named", perRoute({ case: "requirementName", value: "remote" })),
      toRoute("/"),
    ];
    planes = await startPlanes(
      [managerWith([{ name, config: packAny(JwtAuthenticationSchema, config as never) }], routes)],
      [staticCluster("a", [upstream.port]), staticCluster("keys", [(server.address() as AddressInfo).port])],
    );
  });

  afterAll(async () => {
    await planes?.[Symbol.asyncDispose]();
    await upstream?.[Symbol.asyncDispose]();
    server?.closeAllConnections();
    server?.close();
    if (folder !== undefined) rmSync(folder, { recursive: true, force: true });
  });

  test("the same requests are let in, with the same headers, and refused in the same words", async () => {
    expect(planes.plane.unsupported().map(({ message }) => message)).toEqual([]);
    const paths = [
      "/x?q=1",
      "/open",
      "/remote",
      "/broken",
      "/any",
      "/all",
      "/other-audience",
      "/optional",
      "/whatever",
      "/missing",
      "/failed",
      "/off",
      "/named",
      "/file",
      "/file/optional",
    ];
    const ways = [
      [],
      ["X-Sub: forged", "X-Payload: forged", "X-User: forged"],
      ...Object.values(tokens).flatMap((token) => [[`Authorization: Bearer ${token}`], [`X-Token: ${token}`]]),
      [`Authorization: Bearer ${tokens.good}`, `X-Token: ${tokens.remote}`],
      ["Authorization: Basic eA=="],
    ];
    const all = paths.flatMap((path) => ways.map((headers) => request(`GET ${path}`, headers)));
    const byQuery = [request(`GET /remote?token=${tokens.remote}&a=b`), request(`GET /x?access_token=${tokens.good}`)];
    // Several tokens where one provider looks: a bad one beside a good one may be the one that somebody behind believes.
    const some = ["remote", "expiredRemote", "forged", "nonsense", "good", "cookie"].map((name) => tokens[name]);
    const pairs = ["/remote", "/any", "/all", "/optional", "/whatever", "/missing", "/failed"].flatMap((path) =>
      some.flatMap((first) => some.map((second) => request(`GET ${path}?token=${first}`, [`X-Token: ${second}`]))),
    );
    // The same place, twice.
    const twice = some.flatMap((first) =>
      some.flatMap((second) => [
        request("GET /remote", [`X-Token: ${first}`, `X-Token: ${second}`]),
        request("GET /remote", [`X-Token: ${first},${second}`]),
        request(`GET /remote?token=${first}&token=${second}`),
        request("GET /x", [`Authorization: Bearer ${first}`, `Authorization: Bearer ${second}`]),
        request("GET /x", [`Authorization: Bearer ${first}, Bearer ${second}`]),
        request("GET /cookie", [`Cookie: jar=${first}; other=1; jar=${second}`]),
        request("GET /cookie", [`Cookie: jar=${first}`, `Cookie: jar=${second}`]),
      ]),
    );
    const odd = [
      request("GET /x", [`Authorization: bearer ${tokens.good}`]),
      request("GET /x", [`Authorization: Basic eA==,Bearer ${tokens.good}`]),
      request("GET /x", [`Authorization: Bearer   ${tokens.good}  `]),
      request("GET /x", [`Authorization: Bearer "${tokens.good}"`]),
      request("GET /x", ["Authorization: Bearer"]),
      request("GET /x", ["Authorization: Bearer "]),
      request("GET /remote", ["X-Token:"]),
      request("GET /remote?token="),
      request("GET /remote?token"),
      request("GET /cookie", ["Cookie: jar="]),
      request("GET /cookie", [`Cookie: jar="${tokens.cookie}"`]),
      request("GET /cookie", [`Cookie: xjar=1; jar=${tokens.cookie}; a=b`]),
    ];
    const preflight = request("OPTIONS /x", ["Origin: http://o", "Access-Control-Request-Method: GET"]);
    const found = await differencesOf(planes, 0, [...all, ...byQuery, ...pairs, ...twice, ...odd, preflight]);
    expect(found).toEqual([]);
  });
});
