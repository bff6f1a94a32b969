// Requests must bring JWTs of known issuers, as the rules say for their paths.

import { type Any, anyUnpack } from "@bufbuild/protobuf/wkt";
import {
  type JwtAuthentication,
  JwtAuthenticationSchema,
  type JwtRequirement,
  PerRouteConfigSchema,
} from "../../gen/envoy/envoy/extensions/filters/http/jwt_authn/v3/config_pb.js";
import type { Findings } from "../compile/findings.ts";
import { compileRouteMatch } from "../compile/route-match.ts";
import { reply } from "../exchange/answers.ts";
import type { Exchange } from "../exchange/exchange.ts";
import { type HandledFields, unhandledFields } from "../fields.ts";
import { hasHeader, removeHeader } from "../http1/headers.ts";
import { pathOnly, type RouteTest } from "../match.ts";
import { NotExecutable } from "./guard.ts";
import type { FilterRun, HttpFilter, Verdict } from "./http-filter.ts";
import { checkTokens, checkWhatIsThere } from "./jwtCheck.ts";
import { audienceOf, compileProvider, type Fault, type JwtProvider, missing, notForUs, unknownIssuer } from "./jwtProvider.ts";

type Requirement = (exchange: Exchange) => Promise<Fault>;

interface Config {
  readonly rules: readonly { readonly match: RouteTest; readonly requirement: Requirement | undefined }[];
  readonly named: ReadonlyMap<string, Requirement>;
  /** Headers that only we may set. */
  readonly own: readonly string[];
  readonly letsPreflights: boolean;
  readonly isSilent: boolean;
}

interface RouteConfig {
  readonly isDisabled: boolean;
  readonly requirement: string;
}

export const jwt: HttpFilter<Config, RouteConfig> = {
  configType: "envoy.extensions.filters.http.jwt_authn.v3.JwtAuthentication",
  routeType: "envoy.extensions.filters.http.jwt_authn.v3.PerRouteConfig",
  compile: compileJwt,
  compileRoute,
  begin(config, [route], exchange) {
    if (config === undefined) return undefined;
    for (const name of config.own) removeHeader(exchange.headers, name);
    if (route?.isDisabled) return undefined;
    if (config.letsPreflights && isPreflight(exchange)) return undefined;
    if (route !== undefined) return new JwtRun(config, config.named.get(route.requirement) ?? unnamed);
    const rule = config.rules.find(({ match }) => matches(match, exchange));
    return rule?.requirement && new JwtRun(config, rule.requirement);
  },
};

/** A route that names what there is not lets nobody in. */
const unnamed: Requirement = () => Promise.resolve(wrongName);
const wrongName = "Wrong requirement_name";

function isPreflight({ method, headers }: Exchange): boolean {
  return method === "OPTIONS" && hasHeader(headers, "origin") && hasHeader(headers, "access-control-request-method");
}

function matches({ path, conditions }: RouteTest, exchange: Exchange): boolean {
  return path.test(pathOnly(exchange.path)) && conditions.every((condition) => condition.test(exchange));
}

class JwtRun implements FilterRun {
  readonly #config: Config;
  readonly #requirement: Requirement;
  #uri = "";

  constructor(config: Config, requirement: Requirement) {
    this.#config = config;
    this.#requirement = requirement;
  }

  onRequest(exchange: Exchange, resume: () => void): Verdict {
    // As it came: good tokens are taken out of the path.
    this.#uri = `${exchange.scheme}://${exchange.authority}${exchange.path.slice(0, 256)}`;
    this.#requirement(exchange).then(
      (fault) => {
        if (exchange.isDone || exchange.headSent) return;
        if (fault === undefined) resume();
        else this.#refuse(exchange, fault);
      },
      (error: unknown) => this.#refuse(exchange, (error as Error).message),
    );
    return "wait";
  }

  #refuse(exchange: Exchange, fault: string): void {
    if (exchange.isDone || exchange.headSent) return;
    const status = fault === notForUs || fault === wrongName ? 403 : 401;
    const realm = `Bearer realm="${this.#uri}"`;
    const challenge = fault === missing ? realm : `${realm}, error="invalid_token"`;
    const headers = !this.#config.isSilent ? ["www-authenticate", challenge] : [];
    reply(exchange, status, this.#config.isSilent ? "" : fault, "", `jwt_authn_access_denied{${fault.replaceAll(" ", "_")}}`, { headers });
  }
}

const handled: HandledFields = {
  "envoy.extensions.filters.http.jwt_authn.v3.JwtAuthentication": [
    "providers",
    "rules",
    "requirement_map",
    "bypass_cors_preflight",
    "strip_failure_response",
    "filter_state_rules", // reported on its own
    // no effect here
    "stat_prefix",
  ],
};

function compileJwt(any: Any, findings: Findings): Config | undefined {
  const message: JwtAuthentication | undefined = anyUnpack(any, JwtAuthenticationSchema);
  if (message === undefined) throw new Error("is no JwtAuthentication");
  for (const path of unhandledFields(JwtAuthenticationSchema, message, handled)) findings.notExecuted(path);
  // Filter state would name the requirement.
  if (message.filterStateRules !== undefined) throw new NotExecutable("filter_state_rules");
  const providers = new Map<string, JwtProvider>();
  for (const [name, provider] of Object.entries(message.providers)) {
    const place = findings.at(`providers[${JSON.stringify(name)}]`);
    if (provider.normalizePayloadInMetadata !== undefined) place.notExecuted("normalize_payload_in_metadata");
    if (provider.clearRouteCache) place.notExecuted("clear_route_cache");
    providers.set(name, compileProvider(name, provider, place));
  }
  const named = new Map(
    Object.entries(message.requirementMap).map(([name, requirement]) => [name, compileRequirement(requirement, providers, findings)]),
  );
  const rules = message.rules.map(({ match, requirementType: type }, index) => {
    const place = findings.at(`rules[${index}]`);
    const requirement =
      type.case === "requires"
        ? compileRequirement(type.value, providers, place)
        : type.case === "requirementName"
          ? named.get(type.value)
          : undefined;
    const before = findings.all.length;
    const test = compileRouteMatch(match as never, place.at("match"));
    // Whom the rule is about is not known: nobody gets past it.
    if (findings.all.length > before) return { match: everything, requirement: uncheckable };
    return { match: test, requirement: type.case === undefined ? undefined : (requirement ?? unnamed) };
  });
  const own = [...providers.values()].flatMap(({ claims, payloadHeader }) => [
    ...claims.map(({ header }) => header),
    ...(payloadHeader === "" ? [] : [payloadHeader]),
  ]);
  return { rules, named, own, letsPreflights: message.bypassCorsPreflight, isSilent: message.stripFailureResponse };
}

const everything: RouteTest = { path: { kind: "prefix", value: "", literalPrefix: "", test: () => true }, conditions: [] };

/** A requirement that cannot be checked lets nobody in. */
const uncheckable: Requirement = () => Promise.resolve("Jwt verification fails");

function compileRequirement(
  { requiresType: type }: JwtRequirement,
  providers: ReadonlyMap<string, JwtProvider>,
  findings: Findings,
): Requirement {
  switch (type.case) {
    case "providerName":
      return ofProvider(providers.get(type.value), undefined);
    case "providerAndAudiences":
      return ofProvider(providers.get(type.value.providerName), new Set(type.value.audiences.map(audienceOf)));
    case "requiresAny": {
      // What may be missing is what is asked for beside it.
      const asked = type.value.requirements.flatMap((each) => providerOf(each) ?? []);
      const scope = asked.length === 0 ? providers : new Map([...providers].filter(([name]) => asked.includes(name)));
      const all = type.value.requirements.map((each) => compileRequirement(each, isOptional(each) ? scope : providers, findings));
      return (exchange) => anyOf(exchange, all);
    }
    case "requiresAll": {
      const all = type.value.requirements.map((each) => compileRequirement(each, providers, findings));
      return (exchange) => allOf(exchange, all);
    }
    case "allowMissing":
      return (exchange) => whatIsThere(exchange, providers).then((fault) => (fault === missing ? undefined : fault));
    case "allowMissingOrFailed":
      return (exchange) => whatIsThere(exchange, providers).then(() => undefined);
    case undefined:
      return () => Promise.resolve(undefined);
    default:
      findings.notExecuted(type.case, "; nobody is let in");
      return uncheckable;
  }
}

function providerOf({ requiresType: type }: JwtRequirement): string | undefined {
  if (type.case === "providerName") return type.value;
  return type.case === "providerAndAudiences" ? type.value.providerName : undefined;
}

function isOptional({ requiresType: type }: JwtRequirement): boolean {
  return type.case === "allowMissing" || type.case === "allowMissingOrFailed";
}

function ofProvider(provider: JwtProvider | undefined, audiences: ReadonlySet<string> | undefined): Requirement {
  if (provider === undefined) return uncheckable;
  return (exchange) => checkTokens(exchange, provider, audiences ?? provider.audiences);
}

/** One that is good is enough; of the others, what was there and wrong is told rather than what was not there. */
async function anyOf(exchange: Exchange, requirements: readonly Requirement[]): Promise<Fault> {
  let told: Fault = missing;
  for (const requirement of requirements) {
    const fault = await requirement(exchange);
    if (fault === undefined) return undefined;
    if (told === missing || (fault !== missing && fault !== unknownIssuer)) told = fault;
  }
  return told;
}

async function allOf(exchange: Exchange, requirements: readonly Requirement[]): Promise<Fault> {
  for (const requirement of requirements) {
    const fault = await requirement(exchange);
    if (fault !== undefined) return fault;
  }
  return undefined;
}

/** Tokens of any provider. */
function whatIsThere(exchange: Exchange, providers: ReadonlyMap<string, JwtProvider>): Promise<Fault> {
  return checkWhatIsThere(exchange, [...providers.values()]);
}

function compileRoute(any: Any): RouteConfig {
  const message = anyUnpack(any, PerRouteConfigSchema);
  if (message === undefined) throw new Error("is no PerRouteConfig");
  const { requirementSpecifier: said } = message;
  return {
    isDisabled: said.case === "disabled" && said.value,
    requirement: said.case === "requirementName" ? said.value : "",
  };
}
