// Options that stock Envoy cannot do, or that this version does not: the user is told so, and what to do instead.
import { equal } from "node:assert/strict";
import type { OptionCase } from "../option-case.ts";

/** What is written, by field: an empty message unless it has to be something else. */
type Fields = Readonly<Record<string, unknown>>;

const limits: Fields = {
  ratelimitBasic: {},
};
const access: Fields = { waf: {} };
const others: Fields = { dlp: {}, extensions: { configs: { any: {} } } };

export const withoutEffect: readonly OptionCase[] = [
  ...told("listener", { extensions: others.extensions }),
  ...told("http", {
    ...others,
    waf: {},
    wasm: {},
    caching: {},
    proxyLatency: {},
    leftmostXffAddress: true,
    tap: {},
  }),
  ...told("virtualHost", { ...limits, ...access, ...others }),
  ...told("route", { ...limits, ...access, ...others, ai: {} }),
  ...told("weighted", { extensions: others.extensions }),
];

function told(level: "listener" | "http" | "virtualHost" | "route" | "weighted", fields: Fields): OptionCase[] {
  return Object.entries(fields).map(([field, value]) => ({
    fact: "the user is told that it has no effect, and what to do instead",
    options: [`${level}.${field}`],
    says: new RegExp(`options\\.${field}: .*(no effect|Enterprise|enterprise).* \\[.+\\]$`),
    given: { [level]: { [field]: value } },
    // What a firewall, or a limit, was meant to protect is not served without it.
    ...(level === "route" || level === "weighted" ? { observe: async ({ ask }) => equal((await ask()).status, 200) } : {}),
  }));
}
