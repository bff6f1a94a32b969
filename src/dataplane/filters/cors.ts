// Cross-origin requests: preflights are answered here, other answers say who may read them.

import { type Any, anyUnpack } from "@bufbuild/protobuf/wkt";
import { CorsPolicySchema } from "../../gen/envoy/envoy/extensions/filters/http/cors/v3/cors_pb.js";
import type { Findings } from "../compile/findings.ts";
import { compileFraction, type Fraction } from "../compile/fraction.ts";
import { compileStringMatcher, type StringTest } from "../compile/strings.ts";
import { reply } from "../exchange/answers.ts";
import { unhandledFields } from "../fields.ts";
import { headerValue, setHeader } from "../http1/headers.ts";
import { breaksLines, wireText } from "../text.ts";
import type { FilteredResponse, FilterRun, HttpFilter } from "./http-filter.ts";

interface CorsPolicy {
  readonly origins: readonly StringTest[];
  readonly methods: string;
  readonly headers: string;
  readonly exposed: string;
  readonly maxAge: string;
  readonly credentials: boolean | undefined;
  readonly privateNetwork: boolean | undefined;
  readonly forwardsUnmatched: boolean | undefined;
  readonly enabled: Fraction;
}

export const cors: HttpFilter<never, CorsPolicy> = {
  configType: "envoy.extensions.filters.http.cors.v3.Cors",
  routeType: "envoy.extensions.filters.http.cors.v3.CorsPolicy",
  compile: () => undefined,
  compileRoute: compilePolicy,
  begin(_, policies, exchange) {
    const [first] = policies;
    const origin = headerValue(exchange.headers, "origin");
    // As in Envoy, answers of the proxy's own routes are nobody's resources.
    if (exchange.route?.action.kind !== "forward") return undefined;
    if (first === undefined || origin === undefined || origin === "" || !first.enabled()) return undefined;
    return new CorsRun(policies, origin);
  },
};

/** Each setting is that of the most specific policy that has it. */
class CorsRun implements FilterRun {
  readonly #policies: readonly CorsPolicy[];
  readonly #origin: string;
  #isAllowed = false;

  constructor(policies: readonly CorsPolicy[], origin: string) {
    this.#policies = policies;
    this.#origin = origin;
  }

  #text(name: "methods" | "headers" | "exposed" | "maxAge"): string {
    return this.#policies.find((policy) => policy[name] !== "")?.[name] ?? "";
  }

  #is(name: "credentials" | "privateNetwork" | "forwardsUnmatched"): boolean | undefined {
    return this.#policies.find((policy) => policy[name] !== undefined)?.[name];
  }

  onRequest(exchange: Parameters<NonNullable<FilterRun["onRequest"]>>[0]): "next" | "answered" {
    const origins = this.#policies.find((policy) => policy.origins.length > 0)?.origins ?? [];
    const isPreflight = exchange.method === "OPTIONS" && (headerValue(exchange.headers, "access-control-request-method") ?? "") !== "";
    this.#isAllowed = origins.some((each) => each.test(this.#origin));
    if (!isPreflight) return "next";
    if (!this.#isAllowed && (this.#is("forwardsUnmatched") ?? true)) return "next";
    const headers = this.#isAllowed ? ["access-control-allow-origin", this.#origin] : [];
    const add = (name: string, value: string) => value !== "" && headers.push(name, value);
    if (this.#is("credentials")) add("access-control-allow-credentials", "true");
    add("access-control-allow-methods", this.#text("methods"));
    add("access-control-allow-headers", this.#text("headers"));
    add("access-control-max-age", this.#text("maxAge"));
    if (this.#is("privateNetwork") && headerValue(exchange.headers, "access-control-request-private-network") === "true")
      add("access-control-allow-private-network", "true");
    reply(exchange, 200, "", "", "cors_response", { headers, ignoresRoute: true });
    return "answered";
  }

  onResponse(_: unknown, { headers }: FilteredResponse): undefined {
    if (!this.#isAllowed) return;
    setHeader(headers, "access-control-allow-origin", this.#origin);
    if (this.#is("credentials")) setHeader(headers, "access-control-allow-credentials", "true");
    const exposed = this.#text("exposed");
    if (exposed !== "") setHeader(headers, "access-control-expose-headers", exposed);
  }
}

const handled = {
  "envoy.extensions.filters.http.cors.v3.CorsPolicy": [
    "allow_origin_string_match",
    "allow_methods",
    "allow_headers",
    "expose_headers",
    "max_age",
    "allow_credentials",
    "filter_enabled",
    "allow_private_network_access",
    "forward_not_matching_preflights",
    // no effect here: it only counts
    "shadow_enabled",
  ],
};

function compilePolicy(any: Any, findings: Findings): CorsPolicy {
  const policy = anyUnpack(any, CorsPolicySchema);
  if (policy === undefined) throw new Error("is no CorsPolicy");
  for (const path of unhandledFields(CorsPolicySchema, policy, handled)) findings.notExecuted(path);
  const text = (value: string, field: string) => {
    if (!breaksLines(value)) return wireText(value);
    findings.refused(field, "a control character");
    return "";
  };
  return {
    origins: policy.allowOriginStringMatch.map(compileStringMatcher).filter((each) => each !== undefined),
    methods: text(policy.allowMethods, "allow_methods"),
    headers: text(policy.allowHeaders, "allow_headers"),
    exposed: text(policy.exposeHeaders, "expose_headers"),
    maxAge: text(policy.maxAge, "max_age"),
    credentials: policy.allowCredentials,
    privateNetwork: policy.allowPrivateNetworkAccess,
    forwardsUnmatched: policy.forwardNotMatchingPreflights,
    enabled: compileFraction(policy.filterEnabled),
  };
}
