// Reading a NACK: which resources Envoy means, and what of its words may be shown.
import type { EnvoyResource } from "../model/envoy-resource.ts";

/**
 * The resources that an `error_detail` message names, out of those that were sent. Envoy says them in two ways:
 *
 * - `Error adding/updating cluster(s) one: reason, two: reason` when a resource could not be used (the rest of the response is
 *   in force);
 * - the dump of the resource as text, with `name: "one"` at its top, when it broke a rule of the schema (nothing of the
 *   response is in force).
 *
 * Any other mention proves nothing, since a message can quote another resource, and a rule can be broken without any name
 * being said (a negative Duration). Then the answer is empty, and the sender has to find out by trying.
 */
export function blamed(sent: readonly EnvoyResource[], message: string): readonly EnvoyResource[] {
  const listed = /Error adding\/updating (?:cluster|listener)\(s\) (.*)/s.exec(message)?.[1];
  if (listed !== undefined) {
    const named = sent.filter(
      ({ name }) => listed.startsWith(`${name}: `) || listed.includes(`, ${name}: `) || listed.includes(`\n${name}: `),
    );
    if (named.length > 0) return named;
  }
  const dumped = /(?:^|[\s{(])(?:cluster_)?name:\s*"((?:[^"\\]|\\.)*)"/.exec(message)?.[1];
  return dumped === undefined ? [] : sent.filter(({ name }) => name === dumped);
}

const longestMessage = 2000;

/**
 * Envoy's message without what may be secret, and without what differs from run to run. A rule broken in a Listener or Secret
 * dumps the whole resource, private key included (envoyproxy/envoy#6768), so key material is cut by shape: PEM blocks, inline
 * data, and long base64. Envoy makes its dumps unstable on purpose (a `goo.gle/debug…` word, doubled spaces).
 */
export function presentable(message: string): string {
  const text = message
    .slice(0, 100_000)
    .replace(/-----BEGIN [^-]*-----.*?(?:-----END [^-]*-----|$)/gs, "[redacted]")
    .replace(
      /\b(inline_string|inline_bytes|private_key|password|secret|token|secret_key|client_secret)(:?\s*)"(?:[^"\\]|\\.)*"?/g,
      '$1$2"[redacted]"',
    )
    .replace(/[A-Za-z0-9+/]{41,}={0,2}/g, "[redacted]")
    .replace(/\bgoo\.gle\/debug\w+ */g, "")
    // biome-ignore lint/suspicious/noControlCharactersInRegex: control characters are what must not reach a log or a terminal.
    .replace(/[\s\u0000-\u001f\u007f]+/g, " ")
    .trim();
  return text.length <= longestMessage ? text : `${text.slice(0, longestMessage)}…`;
}
