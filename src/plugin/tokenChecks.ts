// Which checks of JSON Web Tokens a request goes through, by what its virtual host and its route say: `jwt`, `jwtStaged`,
// `jwtProvidersStaged`. The feature jwt makes the checks; the feature rbac asks for claims of the tokens that passed them.
import { hash } from "node:crypto";
import { create, toBinary } from "@bufbuild/protobuf";
import { type Provider, ProviderSchema, type VhostExtension } from "../gen/gloo/gloo/projects/gloo/api/v1/enterprise/options/jwt/jwt_pb.js";
import type { RouteOptions } from "../gen/gloo/gloo/projects/gloo/api/v1/route_options_pb.js";
import type { VirtualHostOptions } from "../gen/gloo/gloo/projects/gloo/api/v1/virtual_host_options_pb.js";

export const tokenStages = ["beforeExtAuth", "afterExtAuth"] as const;

export type TokenStage = (typeof tokenStages)[number];

/** The names of their filters. */
export const tokenFilters: Readonly<Record<TokenStage, string>> = {
  beforeExtAuth: "io.solo.filters.http.jwt.before_ext_auth",
  afterExtAuth: "io.solo.filters.http.jwt.after_ext_auth",
};

export interface TokenCheck {
  readonly spec: VhostExtension;
  /** Where it is written, below the options: `jwtStaged.afterExtAuth`. */
  readonly field: string;
  /** Under which, or below which, the claims of a good token stand in the dynamic metadata of the filter. */
  readonly claimsKey: string;
}

export type TokenChecks = Readonly<Partial<Record<TokenStage, TokenCheck>>>;

/** The namespace of dynamic metadata that Envoy's filter writes to. */
export const tokenNamespace = "envoy.filters.http.jwt_authn";

export function checksOfHost({ jwtConfig }: VirtualHostOptions): TokenChecks {
  switch (jwtConfig.case) {
    case "jwt": // deprecated for the second of the stages
      return keyed({ afterExtAuth: { spec: jwtConfig.value, field: "jwt" } });
    case "jwtStaged":
      return keyed(staged(jwtConfig.value, "jwtStaged"));
    default:
      return {};
  }
}

/** Those of its virtual host, but for the stages that the route speaks of. */
export function checksOfRoute({ jwtConfig }: RouteOptions, inherited: VirtualHostOptions | undefined): TokenChecks {
  const ofHost = inherited ? checksOfHost(inherited) : {};
  switch (jwtConfig.case) {
    case "jwt":
      return keyed(without(ofHost, { afterExtAuth: jwtConfig.value.disable }));
    case "jwtStaged": {
      const { beforeExtAuth, afterExtAuth } = jwtConfig.value;
      return keyed(without(ofHost, { beforeExtAuth: beforeExtAuth?.disable, afterExtAuth: afterExtAuth?.disable }));
    }
    case "jwtProvidersStaged":
      return keyed({ ...ofHost, ...staged(jwtConfig.value, "jwtProvidersStaged") });
    default:
      return ofHost;
  }
}

/**
 * Where the claims of a provider's good token stand. Each of several providers has a key of its own: Envoy goes on to the next after one whose
 * token was good and another token was not, and what that one wrote stays. Beside the claims a mark tells whose token it was, by
 * what the provider is: a claim may lead to a route where another one has that name, or this one another name.
 */
export function claimsOf({ spec, claimsKey }: TokenCheck, provider: string): { readonly claims: string; readonly mark: string } {
  const written = spec.providers[provider];
  return {
    claims: Object.keys(spec.providers).length > 1 ? `${claimsKey}.providers.${provider}` : claimsKey,
    mark: `${claimsKey}.header.${written ? identityOf(written) : ""}`,
  };
}

/** Of what makes a token good. */
function identityOf({ issuer, audiences, jwks, clockSkewSeconds }: Provider): string {
  const bytes = toBinary(
    ProviderSchema,
    create(ProviderSchema, { issuer, audiences, ...(jwks && { jwks }), ...(clockSkewSeconds !== undefined && { clockSkewSeconds }) }),
  );
  return hash("sha256", bytes, "hex").slice(0, 12);
}

type Placed = Readonly<Partial<Record<TokenStage, Pick<TokenCheck, "spec" | "field">>>>;

function staged(
  {
    beforeExtAuth,
    afterExtAuth,
  }: { readonly beforeExtAuth?: VhostExtension | undefined; readonly afterExtAuth?: VhostExtension | undefined },
  field: string,
): Placed {
  return {
    ...(beforeExtAuth && { beforeExtAuth: { spec: beforeExtAuth, field: `${field}.beforeExtAuth` } }),
    ...(afterExtAuth && { afterExtAuth: { spec: afterExtAuth, field: `${field}.afterExtAuth` } }),
  };
}

function without(checks: Placed, off: Readonly<Partial<Record<TokenStage, boolean | undefined>>>): Placed {
  return {
    ...(checks.beforeExtAuth && !off.beforeExtAuth && { beforeExtAuth: checks.beforeExtAuth }),
    ...(checks.afterExtAuth && !off.afterExtAuth && { afterExtAuth: checks.afterExtAuth }),
  };
}

/**
 * `principal`, as users of Gloo know it from their access logs. Where there are two tokens, that of the first check has a key of its own: claims of
 * one must never be taken for those of the other.
 */
function keyed({ beforeExtAuth, afterExtAuth }: Placed): TokenChecks {
  return {
    ...(beforeExtAuth && { beforeExtAuth: { ...beforeExtAuth, claimsKey: afterExtAuth ? "principal.beforeExtAuth" : "principal" } }),
    ...(afterExtAuth && { afterExtAuth: { ...afterExtAuth, claimsKey: "principal" } }),
  };
}
