// Cross-site request forgery: a request that changes something must come from where it goes to, or from a place that is named.

import { type Any, anyUnpack } from "@bufbuild/protobuf/wkt";
import { type CsrfPolicy as CsrfMessage, CsrfPolicySchema } from "../../gen/envoy/envoy/extensions/filters/http/csrf/v3/csrf_pb.js";
import type { Findings } from "../compile/findings.ts";
import { compileFraction, type Fraction } from "../compile/fraction.ts";
import { compileStringMatcher, type StringTest } from "../compile/strings.ts";
import { reply } from "../exchange/answers.ts";
import { headerValue } from "../http1/headers.ts";
import type { HttpFilter } from "./http-filter.ts";

interface CsrfPolicy {
  readonly enabled: Fraction;
  readonly origins: readonly StringTest[];
}

export const csrf: HttpFilter<CsrfPolicy, CsrfPolicy> = {
  configType: "envoy.extensions.filters.http.csrf.v3.CsrfPolicy",
  routeType: "envoy.extensions.filters.http.csrf.v3.CsrfPolicy",
  compile(any, findings) {
    const message = unpack(any);
    const isOff = (message.filterEnabled?.defaultValue?.numerator ?? 0) === 0;
    return isOff ? undefined : compilePolicy(message, findings);
  },
  compileRoute: (any, findings) => compilePolicy(unpack(any), findings),
  begin(config, routes, exchange) {
    const policy = routes[0] ?? config;
    if (policy === undefined || !changing.has(exchange.method) || !policy.enabled()) return undefined;
    return {
      onRequest() {
        const source = hostOf(headerValue(exchange.headers, "origin")) || hostOf(headerValue(exchange.headers, "referer"));
        const isTrusted = source !== "" && (source === hostOf(exchange.authority) || policy.origins.some((each) => each.test(source)));
        if (isTrusted) return "next";
        reply(exchange, 403, "Invalid origin", "", "csrf_origin_mismatch");
        return "answered";
      },
    };
  },
};

const changing = new Set(["POST", "PUT", "DELETE", "PATCH"]);

/** Host and port of a URL; of what is none, the text itself. */
function hostOf(text: string | undefined): string {
  if (text === undefined) return "";
  const match = /^[a-z]+:\/\/(?:[^/?#@\\]*@)?([^/?#@\\]+)(?:[/?#]|$)/i.exec(text);
  return match?.[1] ?? text;
}

function unpack(any: Any): CsrfMessage {
  const message = anyUnpack(any, CsrfPolicySchema);
  if (message === undefined) throw new Error("is no CsrfPolicy");
  return message;
}

/** `shadow_enabled` has no effect here: it only counts. */
function compilePolicy({ filterEnabled, additionalOrigins }: CsrfMessage, findings: Findings): CsrfPolicy {
  const origins = additionalOrigins.map((each, index) => {
    const path = `additional_origins[${index}]`;
    try {
      const compiled = compileStringMatcher(each);
      if (compiled === undefined) findings.notExecuted(path, "; it matches no origin");
      return compiled;
    } catch (error) {
      findings.refused(path, `${(error as Error).message}; it matches no origin`);
      return undefined;
    }
  });
  return { enabled: compileFraction(filterEnabled), origins: origins.filter((each) => each !== undefined) };
}
