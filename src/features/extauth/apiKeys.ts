// API keys of Secrets, compared as they are.
import { packAny } from "../../envoy/encode.ts";
import { ApiKeyAuthSchema } from "../../gen/envoy/envoy/extensions/filters/http/api_key_auth/v3/api_key_auth_pb.js";
import type { ApiKeyAuth } from "../../gen/gloo/gloo/projects/gloo/api/v1/enterprise/options/extauth/v1/extauth_pb.js";
import { formatRef, type Ref } from "../../model/ref.ts";
import type { Resource } from "../../model/resource.ts";
import type { OptionContext } from "../../plugin/feature.ts";
import { type CheckKind, type Filter, ownServer } from "./check-kind.ts";

type Context = Pick<OptionContext, "world" | "warn">;

export const apiKeys: CheckKind<ApiKeyAuth> = {
  fault({ storageBackend, hmac, digest, match, headersFromMetadata, headersFromMetadataEntry }) {
    const at = (field: string) => `${field}: keys are compared with those of Secrets as they are; ${ownServer}`;
    if (storageBackend.case === "aerospikeApikeyStorage") return at(storageBackend.case);
    if (hmac) return at("hmac");
    if (digest) return at("digest");
    if (match) return at("match");
    if (Object.keys(headersFromMetadata).length + Object.keys(headersFromMetadataEntry).length > 1)
      return `headersFromMetadataEntry: one header can be told, not several; ${ownServer}`;
    return undefined;
  },
  count: () => 1,
  filters: (spec, { ref }, context) => [keyFilter(spec, ref, context)],
  tells: ({ headersFromMetadata, headersFromMetadataEntry }) => Object.keys({ ...headersFromMetadata, ...headersFromMetadataEntry }),
};

function keyFilter(spec: ApiKeyAuth, ref: Ref, context: Context): Filter {
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

function secretsOf(spec: ApiKeyAuth, ref: Ref, { world, warn }: Context): Resource<"Secret">[] {
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
