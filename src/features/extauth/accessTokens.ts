// Access tokens that are JSON Web Tokens: Envoy verifies their signature, and asks for scopes by its access rules.
import type { MessageInitShape } from "@bufbuild/protobuf";
import { packAny } from "../../envoy/encode.ts";
import { uriFault, uriHint } from "../../envoy/uri.ts";
import type { PrincipalSchema } from "../../gen/envoy/envoy/config/rbac/v3/rbac_pb.js";
import { MetadataSource } from "../../gen/envoy/envoy/config/rbac/v3/rbac_pb.js";
import { JwtAuthenticationSchema, type JwtProviderSchema } from "../../gen/envoy/envoy/extensions/filters/http/jwt_authn/v3/config_pb.js";
import { RBACSchema } from "../../gen/envoy/envoy/extensions/filters/http/rbac/v3/rbac_pb.js";
import type { ValueMatcherSchema } from "../../gen/envoy/envoy/type/matcher/v3/value_pb.js";
import type {
  AccessTokenValidation,
  JwtValidation,
} from "../../gen/gloo/gloo/projects/gloo/api/v1/enterprise/options/extauth/v1/extauth_pb.js";
import { formatRef } from "../../model/ref.ts";
import { claimHeaders } from "../../plugin/claimHeaders.ts";
import type { AuthConfigFault } from "../../plugin/feature.ts";
import { tokenNamespace } from "../../plugin/tokenChecks.ts";
import { localKeys } from "../../plugin/tokenKeys.ts";
import { type CheckKind, type Filter, faultAt, type Written } from "./check-kind.ts";
import { serverName, urlOf } from "./servers.ts";

type KeySource = NonNullable<Exclude<MessageInitShape<typeof JwtProviderSchema>["jwksSourceSpecifier"], undefined>>;
type PrincipalInit = MessageInitShape<typeof PrincipalSchema>;
type ValueInit = MessageInitShape<typeof ValueMatcherSchema>;

export const accessTokens: CheckKind<AccessTokenValidation> = {
  fault({ validationType, userinfoUrl, Provider, claimsToHeaders, scopeValidation }) {
    if (validationType.case !== "jwt") {
      const what = validationType.case === undefined ? "no kind of validation is written" : "Envoy asks no provider about a token";
      return faultAt(validationType.case ?? "", what, "verify tokens by jwt, or ask a server of your own in passThroughAuth");
    }
    if (userinfoUrl !== "") return faultAt("userinfoUrl", "Envoy asks no provider about a user", "leave it out: the token says who it is");
    if (Provider.case === "azure")
      return faultAt("azure", "Envoy asks no directory", "leave it out: Entra ID writes groups into the token if it is told to");
    if (
      scopeValidation.case === "requiredScopes" &&
      scopeValidation.value.scope.some((scope) => !/^[\x21\x23-\x5b\x5d-\x7e]+$/.test(scope))
    )
      return faultAt("requiredScopes", "a scope is a word", "write one for each");
    let wrong: AuthConfigFault | undefined;
    claimHeaders(claimsToHeaders, "claimsToHeaders", {
      refuse: (field, message, more) => {
        wrong ??= faultAt(field, message, more?.hint);
      },
      warn: () => {},
    });
    return wrong ?? keyFault(validationType.value);
  },
  count: ({ scopeValidation }) => (scopesOf(scopeValidation).length > 0 ? 2 : 1),
  filters(spec, written, context) {
    const { validationType, claimsToHeaders, dynamicMetadataFromClaims, scopeValidation, cacheTimeout } = spec;
    const jwt = validationType.value as JwtValidation;
    const tell = (what: string, hint?: string) =>
      context.warn("extauth.configRef", `AuthConfig ${formatRef(written.ref)} ${place(written)}.${what}`, {
        reason: "OptionNotSupported",
        elsewhere: true,
        ...(hint !== undefined && { hint }),
      });
    const key = claimsKey(written.at);
    if (Object.keys(dynamicMetadataFromClaims).length > 0)
      tell(
        "dynamicMetadataFromClaims has no effect: all claims are in Envoy's dynamic metadata anyway",
        `read them from ${tokenNamespace}, under ${key}`,
      );
    if (cacheTimeout) tell("cacheTimeout has no effect: each token is verified", "remove it");
    for (const { claim } of claimsToHeaders.filter(({ append }) => append))
      tell(`claimsToHeaders.append has no effect on ${claim}: the claim replaces the header`, "remove append");
    if (jwt.jwksSourceSpecifier.case === "localJwks") {
      const read = localKeys(jwt.jwksSourceSpecifier.value.inlineString);
      for (const fault of "fault" in read ? [] : read.leftOut) tell(`jwt.localJwks: ${fault}; the others of the set are used`);
    }
    const token: MessageInitShape<typeof JwtProviderSchema> = {
      issuer: jwt.issuer,
      audiences: [...jwt.audiences],
      jwksSourceSpecifier: keySource(jwt, written),
      forward: true,
      fromHeaders: [{ name: "authorization", valuePrefix: "Bearer " }],
      claimToHeaders: claimHeaders(claimsToHeaders, "", { refuse: () => {}, warn: () => {} }) ?? [],
      payloadInMetadata: key,
    };
    const check = packAny(JwtAuthenticationSchema, {
      providers: { token },
      rules: [
        {
          match: { pathSpecifier: { case: "prefix", value: "" } },
          requirementType: { case: "requires", value: { requiresType: { case: "providerName", value: "token" } } },
        },
      ],
    });
    const scopes = scopesOf(scopeValidation);
    return scopes.length > 0 ? [check, scopeFilter(scopes, key)] : [check];
  },
  server({ validationType }) {
    const source = validationType.case === "jwt" ? validationType.value.jwksSourceSpecifier : undefined;
    const url = source?.case === "remoteJwks" ? urlOf(source.value.url) : undefined;
    return url && { host: url.host, port: url.port, speaks: "http", ...(url.isTls && { tls: {} }) };
  },
  tells: ({ claimsToHeaders }) => claimsToHeaders.map(({ header }) => header),
};

function place({ at }: Written): string {
  return `configs[${at}].oauth2.accessTokenValidation`;
}

/** Not below `principal`, where `rbac` finds the claims of those that the option jwtStaged asks for. */
function claimsKey(at: number): string {
  return `accessToken.${at}`;
}

function keyFault({ jwksSourceSpecifier: source }: JwtValidation): AuthConfigFault | undefined {
  switch (source.case) {
    case "localJwks": {
      const read = localKeys(source.value.inlineString);
      return "fault" in read ? faultAt("jwt.localJwks.inlineString", read.fault, "write a JSON Web Key Set") : undefined;
    }
    case "remoteJwks": {
      const { url, refreshInterval } = source.value;
      const fault = uriFault(url);
      if (fault !== undefined) return faultAt("jwt.remoteJwks.url", fault, uriHint);
      if (refreshInterval && refreshInterval.seconds <= 0n)
        return faultAt("jwt.remoteJwks.refreshInterval", "keys are read again after one second at the earliest", "write 300s");
      return undefined;
    }
    default:
      return faultAt("jwt", "no keys are named", "add remoteJwks: {url: …} or localJwks: {inlineString: …}");
  }
}

function keySource({ jwksSourceSpecifier: source }: JwtValidation, { ref, at }: Written): KeySource {
  if (source.case === "remoteJwks") {
    const { url, refreshInterval } = source.value;
    const cluster = serverName(ref, at);
    return {
      case: "remoteJwks",
      value: {
        httpUri: { uri: url, httpUpstreamType: { case: "cluster", value: cluster }, timeout: { seconds: 5n } },
        cacheDuration: refreshInterval ?? { seconds: 300n },
      },
    };
  }
  const read = localKeys(source.case === "localJwks" ? source.value.inlineString : "");
  return { case: "localJwks", value: { specifier: { case: "inlineString", value: "fault" in read ? '{"keys":[]}' : read.keySet } } };
}

function scopesOf(validation: AccessTokenValidation["scopeValidation"]): readonly string[] {
  return validation.case === "requiredScopes" ? [...new Set(validation.value.scope)].sort() : [];
}

/** All of them: in `scope`, which is a text of words or a list, or in `scp`, where some issuers have it. */
function scopeFilter(scopes: readonly string[], key: string): Filter {
  const ids = scopes.map((scope): PrincipalInit => {
    const exact = { matchPattern: { case: "exact" as const, value: scope } };
    const word = scope.replaceAll(/[.*+?^${}()|[\]\\/-]/g, "\\$&");
    const regex = { matchPattern: { case: "safeRegex" as const, value: { regex: `(.* )?${word}( .*)?` } } };
    const listed: ValueInit = {
      matchPattern: {
        case: "listMatch",
        value: { matchPattern: { case: "oneOf", value: { matchPattern: { case: "stringMatch", value: exact } } } },
      },
    };
    const written: ValueInit = { matchPattern: { case: "stringMatch", value: regex } };
    return {
      identifier: {
        case: "orIds",
        value: { ids: ["scope", "scp"].flatMap((claim) => [claimIs([key, claim], written), claimIs([key, claim], listed)]) },
      },
    };
  });
  const principals: PrincipalInit[] = [{ identifier: { case: "andIds", value: { ids } } }];
  return packAny(RBACSchema, { rules: { policies: { scopes: { permissions: [{ rule: { case: "any", value: true } }], principals } } } });
}

function claimIs(path: readonly string[], value: ValueInit): PrincipalInit {
  const segments = path.map((key) => ({ segment: { case: "key" as const, value: key } }));
  const metadataMatcher = { filter: tokenNamespace, path: segments, value };
  return { identifier: { case: "sourcedMetadata", value: { metadataMatcher, metadataSource: MetadataSource.DYNAMIC } } };
}
