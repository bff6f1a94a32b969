// AuthConfigs, as far as Envoy itself can. They are for a server of Solo's, which reads them; here each check becomes filters in a chain of
// the virtual host or route that names them, one after the other, and all must let a request pass.
import { packAny } from "../../envoy/encode.ts";
import {
  FilterChainConfigPerRouteSchema,
  FilterChainConfigSchema,
} from "../../gen/envoy/envoy/extensions/filters/http/filter_chain/v3/filter_chain_pb.js";
import { ConfigSchema as SetFilterStateSchema } from "../../gen/envoy/envoy/extensions/filters/http/set_filter_state/v3/set_filter_state_pb.js";
import type { AuthConfig } from "../../gen/gloo/gloo/projects/gloo/api/v1/enterprise/options/extauth/v1/extauth_pb.js";
import type { EnvoyResource } from "../../model/envoy-resource.ts";
import { formatRef, type Ref } from "../../model/ref.ts";
import type { Resource } from "../../model/resource.ts";
import type { AuthConfigContext, AuthConfigFault, OptionContext, PlacedFilter } from "../../plugin/feature.ts";
import type { World } from "../../plugin/world.ts";
import { below, type Filter, faultAt, ownServer, textOf } from "./check-kind.ts";
import { type Check, checkOf } from "./kinds.ts";
import { serverFault, serverResources } from "./servers.ts";

export const chainFilter = "io.solo.filters.http.auth_config";

/** The same in every listener: the first AuthConfig that is named does not replace it. */
export const dormantChain: PlacedFilter = {
  place: { stage: "authn" },
  filter: { name: chainFilter, disabled: true, configType: { case: "typedConfig", value: packAny(FilterChainConfigSchema, {}) } },
};

/** More would be a mistake. */
export const mostFilters = 16;

/**
 * Undefined, and a finding, where a part of it is not for Envoy: half of a protection is none.
 * @param above how many filters a less specific level may have, which these take the place of
 */
export function chainOf(ref: Ref, above: number, context: OptionContext): Filter | undefined {
  const { chain, findings } = chainOnce(ref, above, context);
  for (const [severity, ...finding] of findings) context[severity](...finding);
  return chain;
}

/** What is made of it, and said, for each route that names it. */
interface MadeChain {
  readonly chain: Filter | undefined;
  readonly findings: readonly (readonly ["refuse" | "warn", ...Parameters<OptionContext["warn"]>])[];
}

/** Thousands of routes of a virtual host name the same: it is made once for all that are made from one view of the world. */
const made = new WeakMap<World, Map<string, MadeChain>>();

function chainOnce(ref: Ref, above: number, context: OptionContext): MadeChain {
  const known = made.get(context.world) ?? new Map<string, MadeChain>();
  made.set(context.world, known);
  const key = `${formatRef(ref)} ${above}`;
  const found = known.get(key);
  if (found !== undefined) return found;
  const findings: MadeChain["findings"][number][] = [];
  const chain = makeChain(ref, above, {
    world: context.world,
    refuse: (...finding) => findings.push(["refuse", ...finding]),
    warn: (...finding) => findings.push(["warn", ...finding]),
  });
  const result = { chain, findings };
  known.set(key, result);
  return result;
}

function makeChain(ref: Ref, above: number, context: Pick<OptionContext, "world" | "refuse" | "warn">): Filter | undefined {
  const found = context.world.get("AuthConfig", ref);
  if (found?.spec === undefined) {
    context.refuse("extauth.configRef", `auth config not found: name:"${ref.name}" namespace:"${ref.namespace}"`, {
      reason: "AuthConfigNotFound",
      hint: "create it, or correct the name and the namespace",
    });
    return undefined;
  }
  const checks = checksOf(found.spec);
  const fault = isFault(checks) ? checks : unreachable(checks, context);
  if (fault !== undefined || isFault(checks)) {
    const hint = `AuthConfig ${formatRef(ref)} ${fault ? textOf(fault) : ""}`;
    context.refuse("extauth.configRef", enterpriseOnly, { reason: "EnterpriseOnly", hint });
    return undefined;
  }
  const filters = checks.flatMap(({ check, at }) => check.filters({ ref, at }, context));
  // Of filters with one name only that of the most specific level runs, and no chain may be in a chain.
  const instead = Array.from({ length: Math.max(0, above - filters.length) }, () => nothing);
  const all = [...filters, ...instead].map((typedConfig, i) => ({ name: `check ${i + 1}`, typedConfig }));
  return packAny(FilterChainConfigPerRouteSchema, { filterChain: { filters: all } });
}

const nothing: Filter = packAny(SetFilterStateSchema, {});

/** How many filters this level has, where it names an AuthConfig. */
export function countOf(ref: Ref, context: Pick<OptionContext, "world">): number {
  return filterCount(knownChecks(ref, context));
}

/** The headers by which an AuthConfig tells Upstreams who it is, in small letters. */
export function headersToldBy(ref: Ref, context: Pick<OptionContext, "world">): readonly string[] {
  return knownChecks(ref, context).flatMap(({ check }) => check.tells.map((header) => header.toLowerCase()));
}

/** What of it cannot be done, whatever it refers to. */
export function faultOf(spec: AuthConfig): AuthConfigFault | undefined {
  const checks = checksOf(spec);
  return isFault(checks) ? checks : undefined;
}

/** The clusters of the servers that it asks. */
export function resourcesOf(config: Resource<"AuthConfig">, context: AuthConfigContext): readonly EnvoyResource[] {
  const checks = config.spec === undefined ? [] : checksOf(config.spec);
  if (isFault(checks)) return [];
  return checks.flatMap(({ check, at }) => (check.server ? serverResources(check.server, at, config, context) : []));
}

const enterpriseOnly = "The Gloo Advanced Extauth API is an enterprise-only feature, please upgrade or use the Envoy Extauth API instead";

interface PlacedCheck {
  readonly check: Check;
  /** Among the configs. */
  readonly at: number;
}

type Checks = readonly PlacedCheck[] | AuthConfigFault;

function isFault(checks: Checks): checks is AuthConfigFault {
  return !Array.isArray(checks);
}

const read = new WeakMap<AuthConfig, Checks>();

/** In their order. Read once, whoever names it. */
function checksOf(spec: AuthConfig): Checks {
  let checks = read.get(spec);
  if (checks === undefined) {
    checks = readChecks(spec);
    if (!isFault(checks)) checks = countFault(checks) ?? checks;
    read.set(spec, checks);
  }
  return checks;
}

function readChecks({ configs, booleanExpr }: AuthConfig): Checks {
  if (configs.length === 0)
    return faultAt(
      "configs",
      "it has no configs, and says nothing of who may pass",
      "add apiKeyAuth, or passThroughAuth with a server of your own",
    );
  const checks: PlacedCheck[] = [];
  for (const [at, config] of configs.entries()) {
    const check = checkOf(config);
    if ("fault" in check) return below(`configs[${at}]`, check.fault);
    checks.push({ check, at });
  }
  if (!booleanExpr) return checks;
  const names = namesIn(booleanExpr);
  if (names === undefined) return faultAt("booleanExpr", "here checks are joined with && alone, as in a && b", `for more, ${ownServer}`);
  const twice = names.find((name) => configs.filter((each) => each.name === name).length > 1);
  if (twice !== undefined) return faultAt("booleanExpr", `several configs have the name ${twice}`, "give each a name of its own");
  const named = names.map((name) => checks.find(({ at }) => configs[at]?.name === name));
  const missing = names.find((_, i) => named[i] === undefined);
  if (missing !== undefined) return faultAt("booleanExpr", `no config has the name ${missing}`, "write it in name of one of them");
  return [...new Set(named as PlacedCheck[])];
}

/** Of an expression that asks for all of some; brackets then say nothing. */
function namesIn(expression: string): readonly string[] | undefined {
  const names = expression
    .replaceAll(/[()]/g, " ")
    .split("&&")
    .map((name) => name.trim());
  return names.every((name) => /^[\w-]+$/.test(name)) ? names : undefined;
}

function filterCount(checks: readonly PlacedCheck[]): number {
  return checks.reduce((sum, { check }) => sum + check.count, 0);
}

function countFault(checks: readonly PlacedCheck[]): AuthConfigFault | undefined {
  const count = filterCount(checks);
  return count > mostFilters ? faultAt("configs", `${count} checks are more than the ${mostFilters} that can be`, ownServer) : undefined;
}

/** What is wrong with how a server is reached. */
function unreachable(checks: readonly PlacedCheck[], { world }: Pick<OptionContext, "world">): AuthConfigFault | undefined {
  for (const { check, at } of checks) {
    const fault = check.server && serverFault(check.server, world);
    if (fault !== undefined) return faultAt(`configs[${at}]`, `its server cannot be asked: ${fault}`);
  }
  return undefined;
}

function knownChecks(ref: Ref, { world }: Pick<OptionContext, "world">): readonly PlacedCheck[] {
  const spec = world.get("AuthConfig", ref)?.spec;
  const checks = spec ? checksOf(spec) : [];
  return isFault(checks) ? [] : checks;
}
