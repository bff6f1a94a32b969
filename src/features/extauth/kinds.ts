// The kinds of checks of an AuthConfig that Envoy can make. What a kind cannot do is a fault of the whole AuthConfig: half of a protection is none.
import type { AuthConfig_Config } from "../../gen/gloo/gloo/projects/gloo/api/v1/enterprise/options/extauth/v1/extauth_pb.js";
import type { OptionContext } from "../../plugin/feature.ts";
import { accessTokens } from "./accessTokens.ts";
import { apiKeys } from "./apiKeys.ts";
import { type CheckKind, type Filter, ownServer, type Written } from "./check-kind.ts";
import { passThrough } from "./passThrough.ts";
import type { Server } from "./servers.ts";

/** One check, whatever its kind. */
export interface Check {
  readonly fault: string | undefined;
  readonly count: number;
  readonly filters: (written: Written, context: Pick<OptionContext, "world" | "warn">) => readonly Filter[];
  readonly server: Server | undefined;
  readonly tells: readonly string[];
}

/** A text: why there is none. */
export function checkOf({ authConfig }: AuthConfig_Config): Check | string {
  switch (authConfig.case) {
    case "apiKeyAuth":
      return checkWith(apiKeys, authConfig.value, authConfig.case);
    case "passThroughAuth":
      return checkWith(passThrough, authConfig.value, authConfig.case);
    case "oauth2": {
      const { oauthType } = authConfig.value;
      if (oauthType.case === "accessTokenValidation")
        return checkWith(accessTokens, oauthType.value, `${authConfig.case}.${oauthType.case}`);
      return oauthType.case === undefined ? `oauth2: no kind of check is written; ${ownServer}` : `oauth2.${oauthType.case}: ${ofLogins}`;
    }
    case undefined:
      return `: no kind of check is written; ${ownServer}`;
    default:
      return `${authConfig.case}: ${alternatives[authConfig.case]}`;
  }
}

/** A fault of the whole begins with a colon. */
export function below(field: string, fault: string): string {
  return fault.startsWith(":") ? `${field}${fault}` : `${field}.${fault}`;
}

function checkWith<C>(kind: CheckKind<C>, config: C, field: string): Check {
  const fault = kind.fault(config);
  return {
    fault: fault && below(field, fault),
    get count() {
      return kind.count(config);
    },
    filters: (written, context) => kind.filters(config, written, context),
    get server() {
      return kind.server?.(config);
    },
    get tells() {
      return kind.tells(config);
    },
  };
}

const loginServer = `run a server for logins (oauth2-proxy, Authelia, Keycloak's gatekeeper), and ${ownServer}; access tokens are verified by accessTokenValidation.jwt`;
const ofLogins = `Envoy is told too little here to log users in; ${loginServer}`;
const ofPolicies = "Envoy runs no policies of Open Policy Agent; run OPA with its Envoy plug-in, and name it in passThroughAuth.grpc";

const alternatives = {
  basicAuth: `Envoy knows no salted passwords; ${ownServer}`,
  oauth: `deprecated for oauth2; ${loginServer}`,
  opaAuth: ofPolicies,
  opaServerAuth: ofPolicies,
  ldap: `Envoy asks no directory; ${ownServer}`,
  hmacAuth: `Envoy verifies no signatures of requests; ${ownServer}`,
  portalAuth: `keys of a portal are its own; ${ownServer}, or put them into Secrets, for apiKeyAuth`,
  pluginAuth: `Go plug-ins run in a server of Solo's; ${ownServer}`,
  jwt: "it names no keys that could verify a token; verify tokens with the option jwtStaged, or with oauth2.accessTokenValidation.jwt",
} as const satisfies Record<
  Exclude<AuthConfig_Config["authConfig"]["case"], "apiKeyAuth" | "passThroughAuth" | "oauth2" | undefined>,
  string
>;
