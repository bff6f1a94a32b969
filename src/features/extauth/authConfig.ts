// AuthConfigs, as far as Envoy itself can: API keys. They are for a server of Solo's, which reads them; here they become filters in a chain of
// the virtual host or route that names them, one after the other, and all must let a request pass.
import type { MessageInitShape } from "@bufbuild/protobuf";
import { packAny } from "../../envoy/encode.ts";
import { ApiKeyAuthSchema } from "../../gen/envoy/envoy/extensions/filters/http/api_key_auth/v3/api_key_auth_pb.js";
import {
  type FilterChainConfigPerRouteSchema,
  FilterChainConfigSchema,
} from "../../gen/envoy/envoy/extensions/filters/http/filter_chain/v3/filter_chain_pb.js";
import { ConfigSchema as SetFilterStateSchema } from "../../gen/envoy/envoy/extensions/filters/http/set_filter_state/v3/set_filter_state_pb.js";
import type {
  ApiKeyAuth,
  AuthConfig,
  AuthConfig_Config,
} from "../../gen/gloo/gloo/projects/gloo/api/v1/enterprise/options/extauth/v1/extauth_pb.js";
import { formatRef, type Ref } from "../../model/ref.ts";
import type { Resource } from "../../model/resource.ts";
import type { OptionContext, PlacedFilter } from "../../plugin/feature.ts";

export type ChainInit = MessageInitShape<typeof FilterChainConfigPerRouteSchema>;
type Check = ReturnType<typeof packAny>;

export const chainFilter = "io.solo.filters.http.auth_config";

/** The same in every listener: the first AuthConfig that is named does not replace it. */
export const dormantChain: PlacedFilter = {
  place: { stage: "authn" },
  filter: { name: chainFilter, disabled: true, configType: { case: "typedConfig", value: packAny(FilterChainConfigSchema, {}) } },
};

/** More would be a mistake. */
export const mostConfigs = 8;

/**
 * Undefined, and a finding, where a part of it is not for Envoy: half of a protection is none.
 * @param above how many checks a less specific level may have, which these take the place of
 */
export function chainOf(ref: Ref, above: number, context: OptionContext): ChainInit | undefined {
  const found = context.world.get("AuthConfig", ref);
  if (found?.spec === undefined) {
    refuse(
      `auth config not found: name:"${ref.name}" namespace:"${ref.namespace}"`,
      "create it, or correct the name and the namespace",
      context,
    );
    return undefined;
  }
  const fault = faultOf(found.spec);
  if (fault !== undefined) {
    refuse(enterpriseOnly, `AuthConfig ${formatRef(ref)} ${fault}`, context);
    return undefined;
  }
  const checks = found.spec.configs.map((config) => apiKeys(config.authConfig.value as ApiKeyAuth, ref, context));
  // Of filters with one name only that of the most specific level runs, and no chain may be in a chain.
  const instead = Array.from({ length: Math.max(0, above - checks.length) }, () => nothing);
  return { filterChain: { filters: [...checks, ...instead].map((typedConfig, i) => ({ name: `check ${i + 1}`, typedConfig })) } };
}

const nothing: Check = packAny(SetFilterStateSchema, {});

/** How many checks this level has, where it names an AuthConfig. */
export function countOf(ref: Ref, { world }: OptionContext): number {
  return world.get("AuthConfig", ref)?.spec?.configs.length ?? 0;
}

const enterpriseOnly = "The Gloo Advanced Extauth API is an enterprise-only feature, please upgrade or use the Envoy Extauth API instead";

function refuse(message: string, hint: string, context: OptionContext): void {
  context.refuse("extauth.configRef", message, { reason: "EnterpriseOnly", hint });
}

/** Which field cannot be done, and what to do instead. */
function faultOf({ configs, booleanExpr }: AuthConfig): string | undefined {
  if (configs.length === 0)
    return "has no configs, and says nothing of who may pass; add apiKeyAuth, or use customAuth with a server of your own";
  if (booleanExpr) return "booleanExpr: here all configs must let a request pass; decide in a server of your own, with customAuth";
  if (configs.length > mostConfigs) return `configs: ${configs.length} are more than the ${mostConfigs} that can be; ${ownServer}`;
  for (const [i, config] of configs.entries()) {
    const fault = configFault(config);
    if (fault !== undefined) return `configs[${i}].${fault}`;
  }
  return undefined;
}

const ownServer = "name a server of your own in extauthzServerRef, and use customAuth";

const alternatives: Readonly<Record<string, string>> = {
  basicAuth: `Envoy knows no salted passwords; ${ownServer}`,
  oauth: `let a server that knows OpenID Connect decide: ${ownServer}`,
  oauth2: `verify access tokens with the option jwtStaged; for logins, ${ownServer}`,
  opaAuth: "run OPA with its Envoy plug-in, name it in extauthzServerRef, and use customAuth",
  opaServerAuth: "run OPA with its Envoy plug-in, name it in extauthzServerRef, and use customAuth",
  passThroughAuth: "name that server in extauthzServerRef, and use customAuth",
  jwt: "verify tokens with the option jwtStaged",
};

function configFault({ authConfig }: AuthConfig_Config): string | undefined {
  if (authConfig.case === undefined) return `: no kind of check is written; ${ownServer}`;
  if (authConfig.case !== "apiKeyAuth") return `${authConfig.case}: ${alternatives[authConfig.case] ?? ownServer}`;
  const { storageBackend, hmac, digest, match, headersFromMetadata, headersFromMetadataEntry } = authConfig.value;
  const at = (field: string) => `apiKeyAuth.${field}: keys are compared with those of Secrets as they are; ${ownServer}`;
  if (storageBackend.case === "aerospikeApikeyStorage") return at(storageBackend.case);
  if (hmac) return at("hmac");
  if (digest) return at("digest");
  if (match) return at("match");
  if (Object.keys(headersFromMetadata).length + Object.keys(headersFromMetadataEntry).length > 1)
    return `apiKeyAuth.headersFromMetadataEntry: one header can be told, not several; ${ownServer}`;
  return undefined;
}

function apiKeys(spec: ApiKeyAuth, ref: Ref, context: OptionContext): Check {
  const [told] = [...Object.entries(spec.headersFromMetadata), ...Object.entries(spec.headersFromMetadataEntry)];
  const [header, entry] = told ?? [];
  const clients = new Map<string, string>();
  for (const secret of secretsOf(spec, ref, context)) {
    const kind = secret.spec?.kind;
    const say = (what: string) =>
      context.warn(
        "extauth.configRef",
        `the Secret ${formatRef(secret.ref)} of AuthConfig ${formatRef(ref)} ${what}: nobody passes by it`,
        {
          elsewhere: true,
        },
      );
    const key = kind?.case === "apiKey" ? kind.value.apiKey : "";
    if (kind?.case !== "apiKey" || key === "") say("has no api-key");
    else if (clients.has(key)) say("has the key of another");
    else {
      // The only thing that Envoy tells of a key is whose it is.
      const client = entry ? (kind.value.metadata[entry.name] ?? "") : formatRef(secret.ref);
      if (client === "") say(`does not say ${entry?.name}, which goes on as ${header}`);
      else clients.set(key, client);
    }
  }
  return packAny(ApiKeyAuthSchema, {
    credentials: [...clients].map(([key, client]) => ({ key, client })),
    keySources: [{ header: spec.headerName || "api-key" }],
    ...(header !== undefined && { forwarding: { header } }),
  });
}

function secretsOf(spec: ApiKeyAuth, ref: Ref, { world, warn }: OptionContext): Resource<"Secret">[] {
  const storage = spec.storageBackend.case === "k8sSecretApikeyStorage" ? [spec.storageBackend.value] : [];
  const found = new Map<string, Resource<"Secret">>();
  for (const { labelSelector, apiKeySecretRefs } of [spec, ...storage]) {
    for (const each of apiKeySecretRefs) {
      const secret = world.get("Secret", each);
      if (secret) found.set(formatRef(each), secret);
      else
        warn("extauth.configRef", `list did not find secret ${formatRef(each)}, which AuthConfig ${formatRef(ref)} names`, {
          reason: "SecretNotFound",
          elsewhere: true,
        });
    }
    const labels = Object.entries(labelSelector);
    if (labels.length === 0) continue;
    for (const secret of world.list("Secret", undefined, labelSelector))
      if (labels.every(([name, value]) => secret.labels[name] === value)) found.set(formatRef(secret.ref), secret);
  }
  return [...found].sort(([a], [b]) => (a < b ? -1 : 1)).map(([, secret]) => secret);
}
