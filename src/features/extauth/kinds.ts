// The kinds of checks of an AuthConfig that Envoy can make. What a kind cannot do is a fault of the whole AuthConfig: half of a protection is none.
import type { AuthConfig_Config } from "../../gen/gloo/gloo/projects/gloo/api/v1/enterprise/options/extauth/v1/extauth_pb.js";
import type { AuthConfigFault, OptionContext } from "../../plugin/feature.ts";
import { accessTokens } from "./accessTokens.ts";
import { apiKeys } from "./apiKeys.ts";
import { below, type CheckKind, type Filter, faultAt, ownServer, type Written } from "./check-kind.ts";
import { passThrough } from "./passThrough.ts";
import type { Server } from "./servers.ts";

/** One check, whatever its kind. */
export interface Check {
  readonly count: number;
  readonly filters: (written: Written, context: Pick<OptionContext, "world" | "warn">) => readonly Filter[];
  readonly server: Server | undefined;
  readonly tells: readonly string[];
}

/** Or why there is none. */
export function checkOf({ authConfig }: AuthConfig_Config): Check | { readonly fault: AuthConfigFault } {
  switch (authConfig.case) {
    case "apiKeyAuth":
      return checkWith(apiKeys, authConfig.value, authConfig.case);
    case "passThroughAuth":
      return checkWith(passThrough, authConfig.value, authConfig.case);
    case "oauth2": {
      const { oauthType } = authConfig.value;
      if (oauthType.case === "accessTokenValidation")
        return checkWith(accessTokens, oauthType.value, `${authConfig.case}.${oauthType.case}`);
      if (oauthType.case === undefined) return { fault: faultAt("oauth2", "no kind of check is written", ownServer) };
      return { fault: faultAt(`oauth2.${oauthType.case}`, "Envoy is told too little here to log users in", loginServer) };
    }
    case undefined:
      return { fault: faultAt("", "no kind of check is written", ownServer) };
    default: {
      const [message, hint] = alternatives[authConfig.case];
      return { fault: faultAt(authConfig.case, message, hint) };
    }
  }
}

function checkWith<C>(kind: CheckKind<C>, config: C, field: string): Check | { readonly fault: AuthConfigFault } {
  const fault = kind.fault(config);
  if (fault !== undefined) return { fault: below(field, fault) };
  return {
    count: kind.count(config),
    filters: (written, context) => kind.filters(config, written, context),
    server: kind.server?.(config),
    tells: kind.tells(config),
  };
}

const loginServer = `run a server for logins (oauth2-proxy, Authelia, Keycloak's gatekeeper), and ${ownServer}; access tokens are verified by accessTokenValidation.jwt`;
const ofPolicies = [
  "Envoy runs no policies of Open Policy Agent",
  "run OPA with its Envoy plug-in, and name it in passThroughAuth.grpc",
] as const;

const alternatives = {
  basicAuth: ["Envoy knows no salted passwords", ownServer],
  oauth: ["deprecated for oauth2", loginServer],
  opaAuth: ofPolicies,
  opaServerAuth: ofPolicies,
  ldap: ["Envoy asks no directory", ownServer],
  hmacAuth: ["Envoy verifies no signatures of requests", ownServer],
  portalAuth: ["keys of a portal are its own", `${ownServer}, or put them into Secrets, for apiKeyAuth`],
  pluginAuth: ["Go plug-ins run in a server of Solo's", ownServer],
  jwt: ["it names no keys that could verify a token", "verify tokens with the option jwtStaged, or with oauth2.accessTokenValidation.jwt"],
} as const satisfies Record<
  Exclude<AuthConfig_Config["authConfig"]["case"], "apiKeyAuth" | "passThroughAuth" | "oauth2" | undefined>,
  readonly [message: string, hint: string]
>;
