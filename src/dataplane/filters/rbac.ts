// Role-based access control: policies say who may do what. Shadow rules only tell what would come of them.

import type { JsonValue } from "@bufbuild/protobuf";
import { type Any, anyUnpack } from "@bufbuild/protobuf/wkt";
import { type RBAC as Message, RBACPerRouteSchema, RBACSchema } from "../../gen/envoy/envoy/extensions/filters/http/rbac/v3/rbac_pb.js";
import type { Findings } from "../compile/findings.ts";
import { reply } from "../exchange/answers.ts";
import type { Exchange } from "../exchange/exchange.ts";
import { type HandledFields, unhandledFields } from "../fields.ts";
import { NotExecutable } from "./guard.ts";
import type { FilterRun, HttpFilter, Verdict } from "./http-filter.ts";
import { compileRules, type Decision, decide, type Engine } from "./rbacPolicies.ts";

interface Config {
  readonly rules: Engine | undefined;
  readonly shadow: Engine | undefined;
  readonly rulesPrefix: string;
  readonly shadowPrefix: string;
  readonly countsPolicies: boolean;
}

const namespace = "envoy.filters.http.rbac";

/** What a route says takes the place of all that the connection manager says, but for where it is counted. */
export const rbac: HttpFilter<Config, Config> = {
  configType: "envoy.extensions.filters.http.rbac.v3.RBAC",
  routeType: "envoy.extensions.filters.http.rbac.v3.RBACPerRoute",
  compile(any, findings) {
    const message = anyUnpack(any, RBACSchema);
    if (message === undefined) throw new Error("is no RBAC");
    const config = compileRbac(message, findings);
    const isEmpty = config.rules === undefined && config.shadow === undefined && config.rulesPrefix + config.shadowPrefix === "";
    return isEmpty ? undefined : config;
  },
  compileRoute,
  begin(config, [route]) {
    const { rules, shadow } = route ?? config ?? nothing;
    if (rules === undefined && shadow === undefined) return undefined;
    return new RbacRun(config ?? nothing, route);
  },
};

const nothing: Config = { rules: undefined, shadow: undefined, rulesPrefix: "", shadowPrefix: "", countsPolicies: false };

class RbacRun implements FilterRun {
  readonly #config: Config;
  readonly #route: Config | undefined;

  constructor(config: Config, route: Config | undefined) {
    this.#config = config;
    this.#route = route;
  }

  onRequest(exchange: Exchange): Verdict {
    const { rules, shadow, countsPolicies } = this.#route ?? this.#config;
    const found: Record<string, JsonValue> = {};
    if (shadow !== undefined) {
      const decision = decide(shadow, exchange);
      const prefix = this.#route?.shadowPrefix || this.#config.shadowPrefix;
      tell(found, `${prefix}shadow_effective_policy_id`, `${prefix}shadow_engine_result`, decision);
      count(exchange, this.#config.shadowPrefix, "shadow_", decision, countsPolicies);
    }
    let decision: Decision | undefined;
    if (rules !== undefined) {
      decision = decide(rules, exchange);
      const prefix = this.#route?.rulesPrefix || this.#config.rulesPrefix;
      tell(found, `${prefix}enforced_effective_policy_id`, `${prefix}enforced_engine_result`, decision);
      count(exchange, this.#config.rulesPrefix, "", decision, countsPolicies);
      if (rules.action === "log") keep(exchange, "envoy.common", { access_log_hint: decision.policy !== "" });
    }
    keep(exchange, namespace, found);
    if (decision === undefined || decision.isAllowed) return "next";
    const policy = decision.policy === "" ? "none" : decision.policy.replaceAll(/\s/g, "_");
    reply(exchange, 403, "RBAC: access denied", "", `rbac_access_denied_matched_policy[${policy}]`);
    return "answered";
  }
}

function tell(found: Record<string, JsonValue>, policyKey: string, resultKey: string, { isAllowed, policy }: Decision): void {
  if (policy !== "") found[policyKey] = policy;
  found[resultKey] = isAllowed ? "allowed" : "denied";
}

/** Under Envoy's names: `rbac.<prefix>.allowed`, `rbac.<prefix>.policy.<name>.allowed`. */
function count({ client }: Exchange, prefix: string, kind: string, { isAllowed, policy }: Decision, countsPolicies: boolean): void {
  const base = prefix === "" ? "rbac." : `rbac.${prefix.endsWith(".") ? prefix : `${prefix}.`}`;
  const result = `${kind}${isAllowed ? "allowed" : "denied"}`;
  client.count(`${base}${result}`);
  if (countsPolicies && policy !== "") client.count(`${base}policy.${policy}.${result}`);
}

function keep(exchange: Exchange, name: string, found: Record<string, JsonValue>): void {
  exchange.dynamicMetadata = { ...exchange.dynamicMetadata, [name]: { ...exchange.dynamicMetadata?.[name], ...found } };
}

const handled: HandledFields = {
  "envoy.extensions.filters.http.rbac.v3.RBAC": [
    "rules",
    "rules_stat_prefix",
    "matcher", // reported on its own
    "shadow_rules",
    "shadow_rules_stat_prefix",
    "track_per_rule_stats",
  ],
  "envoy.config.rbac.v3.RBAC": ["action", "policies"],
};

function compileRbac(message: Message, findings: Findings): Config {
  for (const path of unhandledFields(RBACSchema, message, handled)) findings.notExecuted(path);
  const { rules, matcher, shadowRules, rulesStatPrefix, shadowRulesStatPrefix, trackPerRuleStats } = message;
  // As Envoy: rules beside a matcher do not count.
  if (matcher !== undefined) throw new NotExecutable("matcher");
  return {
    rules: rules && compileRules(rules, findings.at("rules")),
    shadow: shadowRules && compileRules(shadowRules, findings.at("shadow_rules")),
    rulesPrefix: rulesStatPrefix,
    shadowPrefix: shadowRulesStatPrefix,
    countsPolicies: trackPerRuleStats,
  };
}

/** Without RBAC of its own, a route lets everybody pass. */
function compileRoute(any: Any, findings: Findings): Config {
  const message = anyUnpack(any, RBACPerRouteSchema);
  if (message === undefined) throw new Error("is no RBACPerRoute");
  return message.rbac === undefined ? nothing : compileRbac(message.rbac, findings.at("rbac"));
}
