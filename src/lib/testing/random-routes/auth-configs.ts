// AuthConfigs: each kind of check. Of `good` ones only what Envoy can do.
import type { JsonObject } from "@bufbuild/protobuf";
import fc from "fast-check";
import type { Values } from "../flavours.ts";
import type { Words } from "./words.ts";

export function authConfigs({ isWild, any, or, whole, texts, some, parts, duration, header }: Words): Record<string, Values> {
  const url = or(
    any("http://127.0.0.1:2/check?a=b", "https://127.0.0.1:3", "https://auth.test/x"),
    "",
    "auth",
    "ftp://a",
    "http://",
    "http://[::1]:4/",
  );
  const tlsConfig = parts(
    {
      secretRef: or(any("tls", "authority"), "missing", "headers").map((name) => ({ name, namespace: "shop" })),
      sslParams: parts({ minimumProtocolVersion: any("TLS_AUTO", "TLSv1_2"), maximumProtocolVersion: any("TLSv1_3") }),
    },
    isWild ? [] : ["secretRef"],
  );
  const keySet = JSON.stringify({ keys: [{ kty: "oct", k: "c2VjcmV0" }] });
  const claimsToHeaders = some(parts({ claim: texts("sub"), header, append: any(true) }, ["claim", "header"]));
  const apiKey = parts({
    headerName: isWild ? texts("x-key") : any("x-key", ""),
    apiKeySecretRefs: some(or(any("key-0", "key-1"), "missing", "headers-0").map((name) => ({ name, namespace: "$own" }))),
    k8sSecretApikeyStorage: parts({ labelSelector: any({ app: "a" }, { app: "none" }) }),
    headersFromMetadataEntry: any({ "x-user": { name: "user" } }, {}, ...(isWild ? [{ "x y": { name: "user" } }, { a: {}, b: {} }] : [])),
    ...(isWild && { digest: any({}), match: any({}) }),
  });
  const grpc = parts(
    {
      address: or(any("127.0.0.1:2", "auth.test:9000", "[::1]:80"), "", "auth", "auth:0", "auth:99999"),
      connectionTimeout: duration,
      tlsConfig,
      retryPolicy: any({ numRetries: 2 }),
    },
    ["address"],
  );
  const http = parts(
    {
      url: isWild ? url : any("http://127.0.0.1:2/check?a=b", "http://auth.test:8080"),
      connectionTimeout: duration,
      responseHeaderTimeout: duration,
      connectionPool: parts({ maxConns: whole(0, 100, 4_294_967_295), idleTimeout: duration }),
      request: parts({
        allowedHeaders: some(header),
        headersToAdd: any(
          { "x-asks": "gateway" },
          { "x-asks": "100% %REQ(x-b)%" },
          ...(isWild ? [{ "a b": "c" }, { host: "a" }, { "x-a": "\n" }, { ":path": "/" }] : []),
        ),
        ...(isWild && { passThroughBody: or(any(false), true) }),
      }),
      response: parts({
        allowedUpstreamHeaders: some(header),
        allowedUpstreamHeadersToOverwrite: some(header),
        allowedClientHeadersOnDenied: some(header),
        allowedClientHeadersOnSuccess: some(header),
      }),
    },
    ["url"],
  );
  const secureHttp = tlsConfig.map((tls): JsonObject => ({ url: "https://127.0.0.1:3/x", tlsConfig: tls }));
  const passThrough = fc.oneof(
    parts({ grpc, config: any({ door: "front", nested: { list: [1, null] } }), failureModeAllow: any(true) }, ["grpc"]),
    parts({ http, failureModeAllow: any(true) }, ["http"]),
    secureHttp.map((made): JsonObject => ({ http: made })),
    url.map((made): JsonObject => ({ http: { url: made } })),
  );
  const jwt = fc.oneof(
    or(any(keySet), "", "{}", "x").map((inlineString): JsonObject => ({ localJwks: { inlineString } })),
    parts({ url, refreshInterval: duration }, ["url"]).map((remoteJwks): JsonObject => ({ remoteJwks })),
  );
  const accessToken = fc.tuple(jwt, parts({ issuer: texts("me"), audiences: some(texts("a")) })).chain(([keys, more]) =>
    parts({
      requiredScopes: any(
        { scope: ["read", "a.b/c:*"] },
        { scope: [] },
        ...(isWild ? [{ scope: ["a b"] }, { scope: ["é"] }, { scope: [""] }] : []),
      ),
      claimsToHeaders,
      dynamicMetadataFromClaims: any({ a: "b" }),
      cacheTimeout: duration,
    }).map((rest): JsonObject => ({ ...rest, jwt: { ...more, ...keys } })),
  );
  const config = fc.oneof(
    { weight: 3, arbitrary: apiKey.map((apiKeyAuth): JsonObject => ({ apiKeyAuth })) },
    { weight: 4, arbitrary: passThrough.map((passThroughAuth): JsonObject => ({ passThroughAuth })) },
    { weight: 4, arbitrary: accessToken.map((accessTokenValidation): JsonObject => ({ oauth2: { accessTokenValidation } })) },
    ...(isWild
      ? [
          {
            weight: 1,
            arbitrary: any(
              {},
              { basicAuth: {} },
              { oauth: {} },
              { oauth2: {} },
              { oauth2: { oidcAuthorizationCode: {} } },
              { oauth2: { accessTokenValidation: { introspection: {} } } },
              { opaAuth: {} },
              { ldap: {} },
              { hmacAuth: {} },
              { jwt: {} },
            ) as fc.Arbitrary<JsonObject>,
          },
        ]
      : []),
  );
  const named = fc
    .array(config, { minLength: isWild ? 0 : 1, maxLength: 3 })
    .map((all) => all.map((each, i): JsonObject => ({ name: `c${i}`, ...each })));
  return {
    "enterprise.gloo.solo.io.AuthConfig.configs": named as Values,
    "enterprise.gloo.solo.io.AuthConfig.boolean_expr": or(any("c0", "(c0)"), "c0 || c1", "c0 && c9", ""),
  };
}
