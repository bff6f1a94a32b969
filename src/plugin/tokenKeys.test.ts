import { generateKeyPairSync } from "node:crypto";
import { expect, test } from "vitest";
import { localKeys } from "./tokenKeys.ts";

const rsa = generateKeyPairSync("rsa", { modulusLength: 2048 });
const ec = generateKeyPairSync("ec", { namedCurve: "P-384" });
const edwards = generateKeyPairSync("ed25519");
const jwk = ({ publicKey }: typeof rsa) => publicKey.export({ format: "jwk" });

function keysOf(text: string): readonly Record<string, unknown>[] {
  const read = localKeys(text);
  if ("fault" in read) throw new Error(read.fault);
  return (JSON.parse(read.keySet) as { keys: Record<string, unknown>[] }).keys;
}

function faultOf(text: string): string | undefined {
  const read = localKeys(text);
  return "fault" in read ? read.fault : undefined;
}

test("public keys as PEM become keys of a set, in both of RSA's forms, and several at once", () => {
  const forms = [
    rsa.publicKey.export({ format: "pem", type: "spki" }),
    rsa.publicKey.export({ format: "pem", type: "pkcs1" }),
    ec.publicKey.export({ format: "pem", type: "spki" }),
    edwards.publicKey.export({ format: "pem", type: "spki" }),
  ];
  expect(keysOf(forms.join("\n"))).toEqual([jwk(rsa), jwk(rsa), jwk(ec), jwk(edwards)]);
});

test("a key and a set keep their names, and nothing that is private", () => {
  const written = { ...rsa.privateKey.export({ format: "jwk" }), kid: "one", alg: "RS256", use: "sig" };
  expect(keysOf(JSON.stringify(written))).toEqual([{ ...jwk(rsa), kid: "one", alg: "RS256", use: "sig" }]);
  expect(localKeys(JSON.stringify({ keys: [written] }))).toMatchObject({ wasPrivate: true, leftOut: [] });
});

test("keys that Envoy cannot use are left out of a set, which is said", () => {
  const others = [
    { ...jwk(rsa), use: "enc" },
    { ...jwk(ec), alg: "ES256" },
    { kty: "EC", crv: "secp256k1", kid: "coin" },
    { kty: "oct", k: "a" },
    { kty: "none" },
    { kty: "RSA", e: "AQAB" },
  ];
  const text = JSON.stringify({ keys: [...others, jwk(ec)] });
  const read = localKeys(text);
  expect(keysOf(text)).toEqual([jwk(ec)]);
  expect("leftOut" in read && read.leftOut).toEqual([
    "a key (RSA) is for encryption",
    "a key (EC) is for ES256, which does not sign tokens with such a key",
    'a key (kid "coin") is on the curve secp256k1; Envoy knows P-256, P-384, P-521',
    "a key (oct) has no usable k",
    "a key (none) is of the type none; RSA, EC, OKP and oct can be used",
    "a key (RSA) cannot be read",
  ]);
});

test("what is no key is said, without a word of it", () => {
  const small = generateKeyPairSync("rsa", { modulusLength: 512 }).publicKey.export({ format: "pem", type: "spki" }) as string;
  const secret = rsa.privateKey.export({ format: "pem", type: "pkcs8" }) as string;
  expect([
    faultOf(""),
    faultOf("hunter2"),
    faultOf("{hunter2"),
    faultOf('{"keys": "hunter2"}'),
    faultOf('{"keys": []}'),
    faultOf(secret),
    faultOf("-----BEGIN PUBLIC KEY-----\nhunter2\n-----END PUBLIC KEY-----"),
    faultOf(small),
  ]).toEqual([
    "no key is written",
    "the key is neither a JSON Web Key (or a set of them) nor a public key as PEM",
    "the key is no JSON",
    "the key set has no list of keys",
    "the key set is empty",
    "the key is private: whoever may read it may make tokens",
    "the public key cannot be read",
    "a key (RSA) has 512 bits; 2048 to 8192 are what protects and can be computed",
  ]);
});

test.each([
  ["{}", "a key (without a name) has no type (kty); RSA, EC, OKP and oct can be used"],
  ['{"kty":"EC"}', "a key (EC) is on no curve (crv); Envoy knows P-256, P-384, P-521"],
  ['{"kty":{"a":1},"kid":"k"}', 'a key (kid "k") is of the type {"a":1}; RSA, EC, OKP and oct can be used'],
])("what a key does not say is said: %s", (text, fault) => {
  expect(localKeys(text)).toEqual({ fault });
});
