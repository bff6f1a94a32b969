// API keys of Secrets, compared as they are.
import { packAny } from "../../envoy/encode.ts";
import { ApiKeyAuthSchema } from "../../gen/envoy/envoy/extensions/filters/http/api_key_auth/v3/api_key_auth_pb.js";
import type { ApiKeyAuth } from "../../gen/gloo/gloo/projects/gloo/api/v1/enterprise/options/extauth/v1/extauth_pb.js";
import { formatRef, type Ref } from "../../model/ref.ts";
import type { Resource } from "../../model/resource.ts";
import { isHeaderName } from "../../plugin/claimHeaders.ts";
import type { OptionContext } from "../../plugin/feature.ts";
import { type CheckKind, type Filter, faultAt, ownServer } from "./check-kind.ts";

type Context = Pick<OptionContext, "world" | "warn">;

export const apiKeys: CheckKind<ApiKeyAuth> = {
  fault({ storageBackend, hmac, digest, match, headerName, headersFromMetadata, headersFromMetadataEntry }) {
    const other =
      storageBackend.case === "aerospikeApikeyStorage" ? storageBackend.case : hmac ? "hmac" : digest ? "digest" : match && "match";
    if (other) return faultAt(other, "keys are compared with those of Secrets as they are", ownServer);
    if (headerName !== "" && !isOwn(headerName))
      return faultAt(
        "headerName",
        `${JSON.stringify(headerName)} is no name of a header that keys could be in`,
        "write one as in x-api-key",
      );
    const told = [...Object.keys(headersFromMetadata), ...Object.keys(headersFromMetadataEntry)];
    if (told.length > 1) return faultAt("headersFromMetadataEntry", "one header can be told, not several", ownServer);
    const wrong = told.find((name) => !isOwn(name));
    if (wrong === undefined) return undefined;
    const field = wrong in headersFromMetadata ? "headersFromMetadata" : "headersFromMetadataEntry";
    return faultAt(field, `${JSON.stringify(wrong)} is no name of a header that may be set`, "write one as in x-user");
  },
  count: () => 1,
  filters: (spec, { ref }, context) => [keyFilter(spec, ref, context)],
  tells: ({ headersFromMetadata, headersFromMetadataEntry }) => Object.keys({ ...headersFromMetadata, ...headersFromMetadataEntry }),
};

/** By these a request is sent, and which host it is for. */
const ofTheConnection = new Set(["host", "connection", "content-length", "transfer-encoding", "upgrade", "te", "trailer", "keep-alive"]);

function isOwn(name: string): boolean {
  return isHeaderName(name) && !ofTheConnection.has(name.toLowerCase());
}

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
