// Policies as Envoy takes them. What is wrong is said at its place; undefined where one of them cannot be used.
import type { MessageInitShape } from "@bufbuild/protobuf";
import { sortedMap } from "../../envoy/encode.ts";
import { regexFault, regexMatcher } from "../../envoy/regex.ts";
import {
  MetadataSource,
  type PermissionSchema,
  type PolicySchema,
  type PrincipalSchema,
} from "../../gen/envoy/envoy/config/rbac/v3/rbac_pb.js";
import type { ValueMatcherSchema } from "../../gen/envoy/envoy/type/matcher/v3/value_pb.js";
import {
  type JWTPrincipal,
  JWTPrincipal_ClaimMatcher as Matcher,
  type Permissions,
  type Policy,
} from "../../gen/gloo/gloo/projects/gloo/api/v1/enterprise/options/rbac/rbac_pb.js";
import type { OptionContext } from "../../plugin/feature.ts";
import { claimsOf, type TokenCheck, type TokenChecks, tokenNamespace } from "../../plugin/tokenChecks.ts";

type PolicyInit = MessageInitShape<typeof PolicySchema>;
type PermissionInit = MessageInitShape<typeof PermissionSchema>;
export type PrincipalInit = MessageInitShape<typeof PrincipalSchema>;
type ValueInit = MessageInitShape<typeof ValueMatcherSchema>;

export function policiesInit(
  policies: Readonly<Record<string, Policy>>,
  checks: TokenChecks,
  field: string,
  context: OptionContext,
): Record<string, PolicyInit> | undefined {
  const all = Object.values(checks);
  if (all.length === 0)
    context.warn(field, "no token is verified here, so nobody has claims and every request is refused", {
      hint: "name providers of tokens in jwtStaged; routes may do so in jwtProvidersStaged",
    });
  const made = Object.entries(policies).map(([name, policy]) => [name, policyInit(policy, all, `${field}.${name}`, context)] as const);
  if (made.some(([, policy]) => policy === undefined)) return undefined;
  return sortedMap(Object.fromEntries(made) as Record<string, PolicyInit>);
}

function policyInit(
  { principals, permissions, nestedClaimDelimiter }: Policy,
  checks: readonly TokenCheck[],
  field: string,
  context: OptionContext,
): PolicyInit | undefined {
  if (principals.length === 0) {
    context.refuse(`${field}.principals`, "the policy is about nobody", {
      hint: "principals: [{jwtPrincipal: {claims: {sub: somebody}}}]",
    });
    return undefined;
  }
  const allowed = permissionOf(permissions, `${field}.permissions`, context);
  const who = principals.map(({ jwtPrincipal }, i) =>
    principalOf(jwtPrincipal, nestedClaimDelimiter, checks, `${field}.principals[${i}].jwtPrincipal`, context),
  );
  if (allowed === undefined || who.some((each) => each === undefined)) return undefined;
  return { permissions: [allowed], principals: who as PrincipalInit[] };
}

function permissionOf(permissions: Permissions | undefined, field: string, { refuse, warn }: OptionContext): PermissionInit | undefined {
  const { pathPrefix = "", methods = [] } = permissions ?? {};
  if (pathPrefix !== "" && !pathPrefix.startsWith("/"))
    warn(`${field}.pathPrefix`, `no path begins with ${JSON.stringify(pathPrefix)}, so the policy allows nothing`, {
      hint: `write /${pathPrefix}`,
    });
  for (const [i, method] of methods.entries()) {
    if (method === "") {
      refuse(`${field}.methods[${i}]`, "a method has no name", { hint: "methods: [GET, HEAD]" });
      return undefined;
    }
    if (method !== method.toUpperCase())
      warn(`${field}.methods[${i}]`, `the method ${method} is not ${method.toUpperCase()}: requests are compared letter by letter`, {
        hint: `write ${method.toUpperCase()}`,
      });
  }
  const rules: PermissionInit[] = [];
  if (pathPrefix !== "")
    rules.push({
      rule: {
        case: "urlPath",
        value: { rule: { case: "path", value: { matchPattern: { case: "prefix", value: pathPrefix } } } },
      },
    });
  if (methods.length > 0) rules.push(anyPermission(methods.map(methodIs)));
  if (rules.length === 0) return { rule: { case: "any", value: true } };
  return rules.length === 1 ? (rules[0] as PermissionInit) : { rule: { case: "andRules", value: { rules } } };
}

function methodIs(method: string): PermissionInit {
  const match = { case: "stringMatch" as const, value: { matchPattern: { case: "exact" as const, value: method } } };
  return { rule: { case: "header", value: { name: ":method", headerMatchSpecifier: match } } };
}

function anyPermission(rules: readonly PermissionInit[]): PermissionInit {
  return rules.length === 1 ? (rules[0] as PermissionInit) : { rule: { case: "orRules", value: { rules: [...rules] } } };
}

function principalOf(
  principal: JWTPrincipal | undefined,
  delimiter: string,
  checks: readonly TokenCheck[],
  field: string,
  context: OptionContext,
): PrincipalInit | undefined {
  const claims = Object.entries(principal?.claims ?? {}).sort(([a], [b]) => (a < b ? -1 : 1));
  if (principal === undefined || claims.length === 0) {
    const hint = "jwtPrincipal: {claims: {sub: somebody}}";
    context.refuse(principal ? `${field}.claims` : field, "no claim is asked for, so nobody is meant", { hint });
    return undefined;
  }
  const asked = claims.map(([claim, value]) => {
    const path = delimiter === "" ? [claim] : claim.split(delimiter);
    const at = `${field}.claims.${claim}`;
    if (path.includes("")) {
      const divided = delimiter === "" ? "" : `, divided by ${JSON.stringify(delimiter)},`;
      context.refuse(at, `${JSON.stringify(claim)}${divided} has a part without a name`, { hint: "write parent.child" });
      return undefined;
    }
    const match = claimMatch(value, principal.matcher, at, context);
    return match && { path, match };
  });
  if (asked.some((each) => each === undefined)) return undefined;
  const { provider } = principal;
  const mine = provider === "" ? checks : checks.filter(({ spec }) => Object.hasOwn(spec.providers, provider));
  if (provider !== "" && mine.length === 0 && checks.length > 0)
    context.warn(`${field}.provider`, `${JSON.stringify(provider)} is no provider of tokens here, so nobody is meant`, {
      hint: `the providers are ${checks.flatMap(({ spec }) => Object.keys(spec.providers)).join(", ")}`,
    });
  // The claims of one token: what several tokens say does not add up.
  const ids = mine.flatMap((check) =>
    (provider === "" ? Object.keys(check.spec.providers).sort() : [provider]).map((name): PrincipalInit => {
      const { claims: key, mark } = claimsOf(check, name);
      return allOf([
        marked(mark),
        ...(asked as { path: string[]; match: ValueInit }[]).map(({ path, match }) => metadata([key, ...path], match)),
      ]);
    }),
  );
  if (ids.length === 0) return { identifier: { case: "notId", value: { identifier: { case: "any", value: true } } } };
  return anyOf(ids);
}

export function anyOf(ids: readonly PrincipalInit[]): PrincipalInit {
  return ids.length === 1 ? (ids[0] as PrincipalInit) : { identifier: { case: "orIds", value: { ids: [...ids] } } };
}

/** A good token of a provider: each signed token says by which algorithm. */
export function marked(mark: string): PrincipalInit {
  return metadata([mark, "alg"], { matchPattern: { case: "presentMatch", value: true } });
}

export function allOf(ids: readonly PrincipalInit[]): PrincipalInit {
  return ids.length === 1 ? (ids[0] as PrincipalInit) : { identifier: { case: "andIds", value: { ids: [...ids] } } };
}

function metadata(path: readonly string[], value: ValueInit): PrincipalInit {
  const segments = path.map((key) => ({ segment: { case: "key" as const, value: key } }));
  return {
    identifier: {
      case: "sourcedMetadata",
      value: { metadataMatcher: { filter: tokenNamespace, path: segments, value }, metadataSource: MetadataSource.DYNAMIC },
    },
  };
}

function claimMatch(value: string, matcher: Matcher, field: string, { refuse, world }: OptionContext): ValueInit | undefined {
  const exact = { matchPattern: { case: "exact" as const, value } };
  switch (matcher) {
    case Matcher.BOOLEAN:
      if (value !== "true" && value !== "false") {
        refuse(field, `${JSON.stringify(value)} is no boolean`, { hint: 'write "true" or "false", or another matcher' });
        return undefined;
      }
      return { matchPattern: { case: "boolMatch", value: value === "true" } };
    case Matcher.LIST_CONTAINS: {
      const one = { matchPattern: { case: "stringMatch" as const, value: exact } };
      return { matchPattern: { case: "listMatch", value: { matchPattern: { case: "oneOf", value: one } } } };
    }
    case Matcher.REGEX_MATCH: {
      const size = world.settings.gloo?.regexMaxProgramSize;
      const fault = value === "" ? "the expression is empty" : regexFault(value, size);
      if (fault !== undefined) {
        refuse(field, fault, { reason: "RegexInvalid" });
        return undefined;
      }
      const regex = { matchPattern: { case: "safeRegex" as const, value: regexMatcher(value, size) } };
      return { matchPattern: { case: "stringMatch", value: regex } };
    }
    default:
      return { matchPattern: { case: "stringMatch", value: exact } };
  }
}
