// The keys of a JWT provider: written in the configuration, or fetched through a cluster and kept for a while.

import type { CryptoKey, JSONWebKeySet, JWK } from "jose";
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
  const { keys } = JSON.parse(text) as JSONWebKeySet;
  if (!Array.isArray(keys)) throw new Error("is no JSON Web Key Set: it has no keys");
  // A key is another one for each algorithm.
  const imported = new Map<string, Promise<CryptoKey | Uint8Array>>();
  return async (token) => {
    library ??= import("jose");
    const { compactVerify, decodeProtectedHeader, importJWK } = await library;
    const { alg = "", kid } = decodeProtectedHeader(token);
    let told = "Jwks doesn't have key to match kid or alg from Jwt";
    for (const [index, key] of keys.entries()) {
      if (!mayFit(key, alg, kid)) continue;
      told = "Jwt verification fails";
      const name = `${index} ${alg}`;
      const ready = imported.get(name) ?? importJWK(key, alg);
      imported.set(name, ready);
      try {
        await compactVerify(token, await ready, { algorithms: [alg] });
        return undefined;
      } catch {
        // Another one may be the right one.
      }
    }
    return told;
  };
}

const algorithmOfCurve: Readonly<Record<string, string>> = { "P-256": "ES256", "P-384": "ES384", "P-521": "ES512" };

/** As Envoy: what either does not say fits. */
function mayFit(key: JWK, alg: string, kid: string | undefined): boolean {
  const own = key.kty === "EC" ? algorithmOfCurve[key.crv ?? ""] : key.alg;
  return (own ?? alg) === alg && (kid === undefined || key.kid === undefined || kid === key.kid);
}

export type KeySource = (tables: Tables) => KeyCheck | Promise<KeyCheck | undefined>;

const defaultCacheMs = 600_000;
const meanwhile = "tokens that need its keys are refused";

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
        tables.outages?.note({ what: "server of JWT keys", cluster: upstream.value, meanwhile }, check !== undefined);
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
