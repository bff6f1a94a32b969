// Tokens, and who may do what by their claims.
import type { JsonObject } from "@bufbuild/protobuf";
import fc from "fast-check";
import type { Values } from "../flavours.ts";
import type { Words } from "./words.ts";

export function tokens({ any, or, whole, texts, some, parts, toPlain, duration, header, path }: Words): Record<string, Values> {
  const key = {
    kty: "EC",
    crv: "P-256",
    x: "MKBCTNIcKUSDii11ySs3526iDZ8AiTo7Tu6KPAqv7D4",
    y: "4Etl6SRW2YiLUrN5vfvVHuhp7x8PxltmWWlbbM4IFyM",
  };
  const provider = parts(
    {
      jwks: fc.oneof(
        or(
          any(key, {
            keys: [
              { ...key, kid: "a", alg: "ES256" },
              { kty: "oct", k: "c2VjcmV0" },
            ],
          }).map((each) => JSON.stringify(each)),
          "",
          "secret",
          "{}",
          '{"keys":[]}',
          JSON.stringify({ ...key, alg: "ES384" }),
          JSON.stringify({ kty: "oct", k: "" }),
        ).map((text): JsonObject => ({ local: { key: text } })),
        parts(
          {
            url: or(any("https://a.test/keys"), "ftp://a", "", "a b"),
            upstreamRef: toPlain,
            cacheDuration: duration,
            asyncFetch: any({}, { fastListener: true }),
          },
          ["url", "upstreamRef"],
        ).map((remote) => ({ remote })),
      ),
      issuer: or(any("me", "https://me.test"), " me\n", "é"),
      audiences: some(texts("a", "b")),
      tokenSource: parts({ headers: some(parts({ header, prefix: texts("T ", "") }, ["header"])), queryParams: some(texts("t")) }),
      keepToken: any(true),
      claimsToHeaders: some(
        parts({ claim: or(any("sub", "a.b", "é"), ""), header: or(header, "", "a b", "host", ":path"), append: any(true) }, [
          "claim",
          "header",
        ]),
      ),
      clockSkewSeconds: whole(1, 100, 0, 4_294_967_295),
      attachFailedStatusToMetadata: texts("why"),
    },
    ["jwks"],
  );
  const principal = parts(
    {
      claims: or(any({ sub: "a" }, { "a.b": "true", c: "true" }), {}, { "a..b": "c" }, { ok: "(" }, { "": "a" }),
      provider: texts("one", "nobody"),
      matcher: or(any("EXACT_STRING", "LIST_CONTAINS", "REGEX_MATCH"), "BOOLEAN"),
    },
    ["claims"],
  ).map((jwtPrincipal) => ({ jwtPrincipal }));
  const policy = parts(
    {
      principals: or<JsonObject[]>(fc.array(principal, { minLength: 1, maxLength: 2 }), [], [{}]),
      permissions: parts({ pathPrefix: path, methods: some(texts("GET", "get")) }),
      nestedClaimDelimiter: any(".", "::"),
    },
    ["principals"],
  );
  return {
    "jwt.options.gloo.solo.io.VhostExtension.providers": parts({ one: provider, two: provider }, ["one"]),
    "rbac.options.gloo.solo.io.ExtensionSettings.policies": parts({ one: policy, two: policy }, ["one"]),
  };
}
