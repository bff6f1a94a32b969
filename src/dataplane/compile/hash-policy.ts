// What of a request its host is chosen by: `hash_policy` of a route, for clusters that hash.

import type { RouteAction_HashPolicy } from "../../gen/envoy/envoy/config/route/v3/route_components_pb.js";
import { xxHash64 } from "../balancing/xxhash64.ts";
import { queryParameter } from "../formatter.ts";
import { headerValue } from "../http1/headers.ts";
import type { RequestView } from "../match.ts";
import { regex } from "../regex.ts";
import { breaksLines, wireText } from "../text.ts";
import { durationMs } from "./durations.ts";
import type { Findings } from "./findings.ts";

/** What policies look at. */
export interface HashView {
  readonly request: RequestView;
  readonly remoteAddress: string;
  /** Both ends of the connection: what a cookie of the proxy is made of. */
  readonly connection: string;
  /** The client gets a cookie. */
  setCookie(value: string): void;
}

type Policy = (view: HashView) => bigint | undefined;

/** Undefined: nothing of the request says who should serve it. */
export type RequestHash = (view: HashView) => bigint | undefined;

const mask = 0xffff_ffff_ffff_ffffn;

export function compileHashPolicies(policies: readonly RouteAction_HashPolicy[], findings: Findings): RequestHash | undefined {
  const compiled: { readonly evaluate: Policy; readonly isTerminal: boolean }[] = [];
  policies.forEach((policy, index) => {
    const evaluate = compilePolicy(policy, findings.at(`hash_policy[${index}]`));
    if (evaluate !== undefined) compiled.push({ evaluate, isTerminal: policy.terminal });
  });
  if (compiled.length === 0) return undefined;
  return (view) => {
    let hash: bigint | undefined;
    for (const { evaluate, isTerminal } of compiled) {
      const next = evaluate(view);
      // Rotated, so that two policies of the same value do not cancel out.
      if (next !== undefined) hash = hash === undefined ? next : (((hash << 1n) | (hash >> 63n)) & mask) ^ next;
      if (isTerminal && hash !== undefined) break;
    }
    return hash;
  };
}

function compilePolicy({ policySpecifier: policy }: RouteAction_HashPolicy, findings: Findings): Policy | undefined {
  switch (policy.case) {
    case "header":
      return headerPolicy(policy.value.headerName.toLowerCase(), policy.value.regexRewrite);
    case "cookie":
      return cookiePolicy(policy.value, findings);
    case "queryParameter": {
      const name = wireText(policy.value.name);
      return ({ request }) => {
        const value = queryParameter(request.path, name);
        return value === undefined ? undefined : xxHash64(value);
      };
    }
    case "connectionProperties":
      if (policy.value.sourceIp) return ({ remoteAddress }) => (remoteAddress === "" ? undefined : xxHash64(remoteAddress));
      return undefined;
    default:
      findings.notExecuted(policy.case === "filterState" ? "filter_state" : "policy_specifier");
      return undefined;
  }
}

interface RegexRewrite {
  readonly pattern?: { readonly regex: string } | undefined;
  readonly substitution: string;
}

function headerPolicy(name: string, rewrite: RegexRewrite | undefined): Policy {
  const pattern = rewrite && regex(rewrite.pattern?.regex ?? "");
  return ({ request }) => {
    const values = valuesOf(request, name);
    if (values.length === 0) return undefined;
    const hashed =
      pattern === undefined ? values : values.map((value) => pattern.replaceAll(value, (rewrite as RegexRewrite).substitution));
    // Each is the seed of the next; sorted, since their order says nothing.
    return hashed.sort().reduce((seed, value) => xxHash64(value, seed), 0n);
  };
}

function valuesOf({ headers, authority, method, path, scheme }: RequestView, name: string): string[] {
  const pseudo = { ":authority": authority, host: authority, ":method": method, ":path": path, ":scheme": scheme }[name];
  if (pseudo !== undefined) return [pseudo];
  const values: string[] = [];
  for (let i = 0; i < headers.length; i += 2) if (headers[i] === name) values.push(headers[i + 1] as string);
  return values;
}

interface CookieConfig {
  readonly name: string;
  readonly ttl?: Parameters<typeof durationMs>[0] | undefined;
  readonly path: string;
  readonly attributes: readonly { readonly name: string; readonly value: string }[];
}

/** A client without the cookie gets one where there is a time for it to live; 0 is as long as the client likes. */
function cookiePolicy({ name, ttl, path, attributes }: CookieConfig, findings: Findings): Policy {
  const maxAge = ttl === undefined ? undefined : Math.floor(durationMs(ttl) / 1_000);
  const suffix = [
    maxAge === undefined || maxAge === 0 ? "" : `; Max-Age=${maxAge}`,
    path === "" ? "" : `; Path=${path}`,
    ...attributes.map((each) => (each.value === "" ? `; ${each.name}` : `; ${each.name}=${each.value}`)),
    "; HttpOnly",
  ].join("");
  const isUnsafe = breaksLines(`${name}${suffix}`);
  if (isUnsafe) findings.refused("cookie", "a control character");
  return (view) => {
    const value = cookieValue(view.request, name);
    if (value !== "") return xxHash64(value);
    if (maxAge === undefined || isUnsafe) return undefined;
    const made = xxHash64(view.connection).toString(16).padStart(16, "0");
    view.setCookie(`${wireText(name)}="${made}"${wireText(suffix)}`);
    return xxHash64(made);
  };
}

function cookieValue({ headers }: RequestView, name: string): string {
  const cookies = headerValue(headers, "cookie");
  if (cookies === undefined) return "";
  for (const part of cookies.split(/[;,]/)) {
    const text = part.trimStart();
    const equals = text.indexOf("=");
    if (equals < 0 || text.slice(0, equals) !== name) continue;
    const value = text.slice(equals + 1);
    return value.length >= 2 && value.startsWith('"') && value.endsWith('"') ? value.slice(1, -1) : value;
  }
  return "";
}
