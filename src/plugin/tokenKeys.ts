// Keys that are written in the configuration, as Envoy takes them: a JSON Web Key Set of public keys. Users write a key set, a single key, or
// public keys or certificates as PEM. Envoy refuses a whole route configuration for a set without a key that it can use, so each is read here.
import { createPublicKey, type JsonWebKey, type KeyObject } from "node:crypto";

export interface LocalKeys {
  /** JSON. Only what is public, and only what Envoy can use. */
  readonly keySet: string;
  /** Why keys were left out. */
  readonly leftOut: readonly string[];
  /** Members of a private key were written. */
  readonly wasPrivate: boolean;
}

type Jwk = JsonWebKey & { readonly kid?: unknown; readonly alg?: unknown; readonly use?: unknown };
type CheckedKey = { readonly key: Record<string, unknown> } | { readonly fault: string };

/** The fault: why none of it can verify a signature. */
export function localKeys(text: string): LocalKeys | { readonly fault: string } {
  const written = text.trim();
  if (written === "") return { fault: "no key is written" };
  const found = written.startsWith("{") ? jwksOf(written) : pemKeys(written);
  if ("fault" in found) return found;
  const verdicts = found.map(usable);
  const keys = verdicts.flatMap((each) => ("key" in each ? [each.key] : []));
  const faults = verdicts.flatMap((each) => ("fault" in each ? [each.fault] : []));
  if (keys.length === 0) return { fault: faults[0] ?? "the key set is empty" };
  return { keySet: JSON.stringify({ keys }), leftOut: faults, wasPrivate: found.some((each) => each.d !== undefined) };
}

function jwksOf(text: string): readonly Jwk[] | { readonly fault: string } {
  let json: unknown;
  try {
    json = JSON.parse(text);
  } catch {
    return { fault: "the key is no JSON" };
  }
  const keys = (json as { keys?: unknown }).keys ?? [json];
  if (!Array.isArray(keys) || keys.some((each) => typeof each !== "object" || each === null))
    return { fault: "the key set has no list of keys" };
  return keys as Jwk[];
}

const pemBlock = /-----BEGIN ([A-Z0-9 ]+)-----[\s\S]+?-----END \1-----/g;

function pemKeys(text: string): readonly Jwk[] | { readonly fault: string } {
  const blocks = [...text.matchAll(pemBlock)];
  if (blocks.length === 0) return { fault: "the key is neither a JSON Web Key (or a set of them) nor a public key as PEM" };
  if (blocks.some(([, label]) => label?.endsWith("PRIVATE KEY")))
    return { fault: "the key is private: whoever may read it may make tokens" };
  const keys: Jwk[] = [];
  for (const [block, label = ""] of blocks) {
    try {
      keys.push(createPublicKey(block).export({ format: "jwk" }) as Jwk);
    } catch {
      return { fault: `the ${label.toLowerCase()} cannot be read` };
    }
  }
  return keys;
}

const curves: Readonly<Record<string, string>> = { "P-256": "ES256", "P-384": "ES384", "P-521": "ES512" };

function usable(jwk: Jwk): CheckedKey {
  const { kty, crv, n, e, x, y, k } = jwk;
  if (jwk.use === "enc") return { fault: `a key (${nameOf(jwk)}) is for encryption` };
  switch (kty) {
    case "RSA":
      return checked(jwk, { kty, n, e }, /^[RP]S(256|384|512)$/);
    case "EC": {
      const algorithm = curves[crv ?? ""];
      if (algorithm === undefined)
        return { fault: `a key (${nameOf(jwk)}) is on ${curveOf(crv)}; Envoy knows ${Object.keys(curves).join(", ")}` };
      return checked(jwk, { kty, crv, x, y }, new RegExp(`^${algorithm}$`));
    }
    case "OKP":
      if (crv !== "Ed25519") return { fault: `a key (${nameOf(jwk)}) is on ${curveOf(crv)}; Envoy knows Ed25519` };
      return checked(jwk, { kty, crv, x }, /^EdDSA$/);
    case "oct":
      if (typeof k !== "string" || !/^[A-Za-z0-9_-]+=*$/.test(k) || k.replace(/=+$/, "").length % 4 === 1)
        return { fault: `a key (${nameOf(jwk)}) has no usable k` };
      return checked(jwk, { kty, k }, /^HS(256|384|512)$/);
    default:
      return {
        fault: `a key (${nameOf(jwk)}) ${kty === undefined ? "has no type (kty)" : `is of the type ${textOf(kty)}`}; RSA, EC, OKP and oct can be used`,
      };
  }
}

function checked(jwk: Jwk, members: Record<string, unknown>, algorithms: RegExp): CheckedKey {
  const { alg, kid, use } = jwk;
  if (alg !== undefined && !(typeof alg === "string" && algorithms.test(alg)))
    return { fault: `a key (${nameOf(jwk)}) is for ${textOf(alg)}, which does not sign tokens with such a key` };
  if (jwk.kty !== "oct") {
    const read = publicKey(members);
    if (read === undefined) return { fault: `a key (${nameOf(jwk)}) cannot be read` };
    const bits = read.asymmetricKeyDetails?.modulusLength;
    if (bits !== undefined && (bits < 1024 || bits > 8192))
      return { fault: `a key (${nameOf(jwk)}) has ${bits} bits; 2048 to 8192 are what protects and can be computed` };
  }
  return {
    key: {
      ...members,
      ...(alg !== undefined && { alg }),
      ...(typeof kid === "string" && { kid }),
      ...(typeof use === "string" && { use }),
    },
  };
}

function publicKey(members: Record<string, unknown>): KeyObject | undefined {
  try {
    return createPublicKey({ key: members as JsonWebKey, format: "jwk" });
  } catch {
    return undefined;
  }
}

function nameOf({ kid, kty }: Jwk): string {
  return typeof kid === "string" ? `kid ${JSON.stringify(kid)}` : typeof kty === "string" ? kty : "without a name";
}

function curveOf(crv: unknown): string {
  return crv === undefined ? "no curve (crv)" : `the curve ${textOf(crv)}`;
}

function textOf(value: unknown): string {
  return typeof value === "string" ? value : JSON.stringify(value);
}
