// Tokens for cases, and the keys that they are signed with.
import { createSign, generateKeyPairSync, type KeyObject, type KeyPairKeyObjectResult, sign as signBytes } from "node:crypto";
import type { Seen } from "../option-case.ts";

export const one = generateKeyPairSync("rsa", { modulusLength: 2048 });
export const two = generateKeyPairSync("ec", { namedCurve: "P-256" });
export const edwards = generateKeyPairSync("ed25519");

const base64url = (value: unknown) => Buffer.from(JSON.stringify(value)).toString("base64url");
const pem = ({ publicKey }: KeyPairKeyObjectResult) => publicKey.export({ format: "pem", type: "spki" }) as string;
export const jwk = ({ publicKey }: KeyPairKeyObjectResult) => publicKey.export({ format: "jwk" });
export const expires = Math.floor(Date.now() / 1000) + 3600;

export function token(claims: object, { privateKey }: { privateKey: KeyObject } = one): string {
  const type = privateKey.asymmetricKeyType;
  const alg = type === "rsa" ? "RS256" : type === "ec" ? "ES256" : "EdDSA";
  // Keys without a name fit every token.
  const kid = type === "ed25519" ? "e" : "any";
  const text = `${base64url({ alg, kid })}.${base64url({ exp: expires, ...claims })}`;
  const signature =
    type === "ed25519"
      ? signBytes(null, Buffer.from(text), privateKey)
      : createSign("SHA256").update(text).sign({ key: privateKey, dsaEncoding: "ieee-p1363" });
  return `${text}.${signature.toString("base64url")}`;
}

export const local = (pair: KeyPairKeyObjectResult) => ({ jwks: { local: { key: pem(pair) } } });
export const shop = { issuer: "https://shop.test", ...local(one) };
export const staff = { issuer: "staff", ...local(two) };
export const ofShop = (claims: object = {}) => token({ iss: "https://shop.test", ...claims });
export const ofStaff = (claims: object = {}) => token({ iss: "staff", ...claims }, two);

export const bearer = (text: string) => ({ headers: { authorization: `Bearer ${text}` } });
/** Statuses, in order, of requests with these tokens; without one where it is empty. */
export async function statuses({ ask }: Seen, path: string, ...tokens: readonly string[]): Promise<number[]> {
  const all: number[] = [];
  for (const each of tokens) all.push((await ask(path, each === "" ? {} : bearer(each))).status);
  return all;
}
