// Secrets of a world: API keys, headers, certificates. Those of `wild` ones may be empty, broken, or of another kind than their type says.
import type { WorldSecret } from "./randomWorlds.ts";

type Body = { readonly type: string; readonly stringData: Readonly<Record<string, string>> };

const keys: readonly Body[] = [
  { type: "extauth.solo.io/apikey", stringData: { "api-key": "key-of-ann", user: "ann" } },
  { type: "extauth.solo.io/apikey", stringData: { "api-key": "key-of-bob" } },
];

const headers: Body = { type: "gloo.solo.io/header", stringData: { "x-secret": "s", authorization: "Bearer t" } };

const bad: readonly Body[] = [
  { type: "extauth.solo.io/apikey", stringData: {} },
  { type: "extauth.solo.io/apikey", stringData: { "api-key": "" } },
  { type: "extauth.solo.io/apikey", stringData: { "api-key": "key-of-ann", user: "a\nb" } },
  { type: "extauth.solo.io/apikey", stringData: { "api-key": "\u00e9\n" } },
  { type: "kubernetes.io/tls", stringData: { "tls.crt": "none", "tls.key": "none" } },
  { type: "kubernetes.io/tls", stringData: {} },
  { type: "gloo.solo.io/header", stringData: { "a b": "c", ":path": "/", host: "x", "x-a": "\n" } },
  { type: "Opaque", stringData: { any: "thing" } },
  { type: "extauth.solo.io/oauth", stringData: { "client-secret": "" } },
];

export function secretsOf(namespace: string, number: number, isWild: boolean): WorldSecret[] {
  const wild = (i: number): Body | undefined => (isWild && (number + i) % 4 === 0 ? bad[(number + 3 * i) % bad.length] : undefined);
  const secret = (name: string, body: Body, i: number) =>
    ({ apiVersion: "v1", kind: "Secret", metadata: { name, namespace, labels: { app: i % 2 === 0 ? "a" : "b" } }, ...body }) as WorldSecret;
  return [...keys, headers].map((body, i) => secret(i < keys.length ? `key-${i}` : "headers-0", wild(i) ?? body, i));
}
