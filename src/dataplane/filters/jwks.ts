// The keys of a JWT provider: written in the configuration, or fetched through a cluster and kept for a while.

import type { CompactVerifyGetKey, JSONWebKeySet } from "jose";
import type { RemoteJwks } from "../../gen/envoy/envoy/extensions/filters/http/jwt_authn/v3/config_pb.js";
import { durationMs, timeoutMs } from "../compile/durations.ts";
import type { Tables } from "../exchange/tables.ts";
import { wireText } from "../text.ts";
import { ask } from "../upstream/ask.ts";

/** Undefined: the signature is right. Otherwise Envoy's words for what is wrong. */
export type KeyCheck = (token: string) => Promise<string | undefined>;

/** Loaded by who has a token to check: most gateways have none. */
let library: Promise<typeof import("jose")> | undefined;

/** Throws when the text is no key set. */
export function localKeys(text: string): KeyCheck {
  const set = JSON.parse(text) as JSONWebKeySet;
  if (!Array.isArray(set?.keys)) throw new Error("is no JSON Web Key Set: it has no keys");
  let keys: CompactVerifyGetKey | undefined;
  return async (token) => {
    library ??= import("jose");
    const { compactVerify, createLocalJWKSet, decodeProtectedHeader, errors } = await library;
    try {
      const { alg = "", kid } = decodeProtectedHeader(token);
      if (alg.startsWith("HS")) return await anyOf(secretsFor(set, alg, kid), (key) => compactVerify(token, key, { algorithms: [alg] }));
      keys ??= createLocalJWKSet(set);
      await compactVerify(token, keys);
      return undefined;
    } catch (error) {
      // Without a `kid`, several keys may be the one.
      if (error instanceof errors.JWKSMultipleMatchingKeys) return anyOf(error, (key) => compactVerify(token, key));
      if (error instanceof errors.JWKSNoMatchingKey || error instanceof errors.JOSENotSupported) return noKey;
      return "Jwt verification fails";
    }
  };
}

/** Keys that sign and verify, which the library does not take from a set. */
function secretsFor({ keys }: JSONWebKeySet, alg: string, kid: string | undefined): Uint8Array[] {
  return keys
    .filter((key) => key.kty === "oct" && (key.alg ?? alg) === alg && (kid ?? key.kid) === (key.kid ?? kid))
    .map(({ k }) => Buffer.from(String(k), "base64url"));
}

const noKey = "Jwks doesn't have key to match kid or alg from Jwt";

async function anyOf<Key>(
  candidates: AsyncIterable<Key> | readonly Key[],
  verify: (key: Key) => Promise<unknown>,
): Promise<string | undefined> {
  if (Array.isArray(candidates) && candidates.length === 0) return noKey;
  for await (const key of candidates) {
    const isRight = await verify(key).then(
      () => true,
      () => false,
    );
    if (isRight) return undefined;
  }
  return "Jwt verification fails";
}

export type KeySource = (tables: Tables) => KeyCheck | Promise<KeyCheck | undefined>;

const defaultCacheMs = 600_000;

/** Fetched when it is first needed, and again when it is too old. Who comes while it is fetched waits for the same answer. */
export function remoteKeys({ httpUri, cacheDuration }: RemoteJwks): KeySource | undefined {
  const upstream = httpUri?.httpUpstreamType;
  if (httpUri === undefined || upstream?.case !== "cluster") return undefined;
  const [, host = "", path = "/"] = /^(?:https?:\/\/)?([^/?#]*)(.*)$/.exec(httpUri.uri) ?? [];
  const keepMs = durationMs(cacheDuration) ?? defaultCacheMs;
  const question = {
    method: "GET",
    path: wireText(path || "/"),
    authority: wireText(host),
    headers: [],
    body: Buffer.alloc(0),
    timeoutMs: timeoutMs(httpUri.timeout, 1_000),
  };
  let kept: { readonly check: KeyCheck; readonly until: number } | undefined;
  let fetching: Promise<KeyCheck | undefined> | undefined;
  return (tables) => {
    if (kept !== undefined && Date.now() < kept.until) return kept.check;
    fetching ??= new Promise<KeyCheck | undefined>((resolve) => {
      ask(tables.cluster(upstream.value), question, (answer) => {
        const check = answer?.head.status === 200 ? readable(answer.body.toString("utf8")) : undefined;
        if (check !== undefined) kept = { check, until: Date.now() + keepMs };
        resolve(check);
      });
    }).finally(() => {
      fetching = undefined;
    });
    return fetching;
  };
}

function readable(text: string): KeyCheck | undefined {
  try {
    return localKeys(text);
  } catch {
    return undefined; // what came is no key set, and so there is none
  }
}
