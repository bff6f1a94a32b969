// One provider of tokens as Envoy takes it. What is wrong is said at its place; undefined where it cannot be used.
import { create, type Message, type MessageInitShape } from "@bufbuild/protobuf";
import { violationsOf } from "../../envoy/constraints.ts";
import { clusterName } from "../../envoy/names.ts";
import { uriFault, uriHint } from "../../envoy/uri.ts";
import { JwtProviderSchema } from "../../gen/envoy/envoy/extensions/filters/http/jwt_authn/v3/config_pb.js";
import type { Jwks, Provider, RemoteJwks, TokenSource } from "../../gen/gloo/gloo/projects/gloo/api/v1/enterprise/options/jwt/jwt_pb.js";
import { formatRef } from "../../model/ref.ts";
import { claimHeaders, isHeaderName } from "../../plugin/claimHeaders.ts";
import type { OptionContext } from "../../plugin/feature.ts";
import { localKeys } from "../../plugin/tokenKeys.ts";

type ProviderInit = Exclude<MessageInitShape<typeof JwtProviderSchema>, Message>;
type KeySource = NonNullable<ProviderInit["jwksSourceSpecifier"]>;

export function providerInit(provider: Provider, field: string, context: OptionContext): ProviderInit | undefined {
  const { issuer, audiences, tokenSource, keepToken, claimsToHeaders, clockSkewSeconds, attachFailedStatusToMetadata } = provider;
  const jwksSourceSpecifier = keySource(provider.jwks, `${field}.jwks`, context);
  const sources = sourcesOf(tokenSource, `${field}.tokenSource`, context);
  const claims = claimHeaders(claimsToHeaders, `${field}.claimsToHeaders`, context);
  if (issuer !== issuer.trim())
    context.warn(`${field}.issuer`, `the issuer ${JSON.stringify(issuer)} begins or ends with a space, so it is no token's`, {
      hint: "write it exactly as the claim iss has it; in YAML, |- leaves out the line break at the end",
    });
  if (clockSkewSeconds === 0)
    context.warn(`${field}.clockSkewSeconds`, "Envoy takes 0 for its default of 60 seconds", { hint: "write 1 for next to none" });
  if (jwksSourceSpecifier === undefined || sources === undefined || claims === undefined) return undefined;
  const init: ProviderInit = {
    issuer,
    audiences: [...audiences],
    jwksSourceSpecifier,
    forward: keepToken,
    ...sources,
    claimToHeaders: claims,
    ...(clockSkewSeconds && { clockSkewSeconds }),
    failedStatusInMetadata: attachFailedStatusToMetadata,
  };
  const [violation] = violationsOf(JwtProviderSchema, create(JwtProviderSchema, init));
  if (violation === undefined) return init;
  context.refuse(field, `Envoy would refuse ${violation.path}: ${violation.message}`, {
    reason: "RouteRefusedByEnvoy",
    hint: "correct the value, or leave it out",
  });
  return undefined;
}

function keySource(written: Jwks | undefined, field: string, context: OptionContext): KeySource | undefined {
  switch (written?.jwks.case) {
    case "local":
      return localSource(written.jwks.value.key, `${field}.local.key`, context);
    case "remote":
      return remoteSource(written.jwks.value, `${field}.remote`, context);
    default:
      context.refuse(field, "the provider has no keys, so no token could be verified", {
        hint: "jwks: {local: {key: …}} or jwks: {remote: {url: …, upstreamRef: …}}",
      });
      return undefined;
  }
}

function localSource(key: string, field: string, { refuse, warn }: OptionContext): KeySource | undefined {
  const read = localKeys(key);
  if ("fault" in read) {
    refuse(field, read.fault, { hint: "write a public key as PEM, a JSON Web Key, or a JSON Web Key Set" });
    return undefined;
  }
  for (const fault of read.leftOut) warn(field, `${fault}; the others of the set are used`, { hint: "remove it from the set" });
  if (read.wasPrivate)
    warn(field, "the key is private: whoever may read it here may make tokens. Only its public part is sent to Envoy", {
      hint: "write the public part only: without d, p, q, dp, dq and qi",
    });
  return { case: "localJwks", value: { specifier: { case: "inlineString", value: read.keySet } } };
}

function remoteSource(
  { url, upstreamRef, cacheDuration, asyncFetch }: RemoteJwks,
  field: string,
  context: OptionContext,
): KeySource | undefined {
  const fault = uriFault(url);
  if (fault !== undefined) context.refuse(`${field}.url`, fault, { hint: uriHint });
  if (upstreamRef === undefined) {
    context.refuse(`${field}.upstreamRef`, "no Upstream is named through which the keys are fetched", {
      hint: "create an Upstream for the host of the url, with sslConfig for https, and name it here",
    });
    return undefined;
  }
  if (fault !== undefined) return undefined;
  if (context.world.get("Upstream", upstreamRef) === undefined)
    context.warn(`${field}.upstreamRef`, `*v1.Upstream { ${formatRef(upstreamRef)} } not found`, {
      reason: "UpstreamNotFound",
      hint: "without it there are no keys, and no token of this provider is good",
    });
  return {
    case: "remoteJwks",
    value: {
      httpUri: { uri: url, httpUpstreamType: { case: "cluster", value: clusterName(upstreamRef) }, timeout: { seconds: 5n } },
      cacheDuration: cacheDuration ?? { seconds: 300n },
      // Filters of routes have no listener that could wait for them.
      ...(asyncFetch && { asyncFetch: { fastListener: true } }),
    },
  };
}

function sourcesOf(
  source: TokenSource | undefined,
  field: string,
  { refuse }: OptionContext,
): Pick<ProviderInit, "fromHeaders" | "fromParams"> | undefined {
  let isUsable = true;
  const fault = (at: string, message: string, hint: string) => {
    isUsable = false;
    refuse(at, message, { hint });
  };
  for (const [i, { header }] of (source?.headers ?? []).entries())
    if (!isHeaderName(header))
      fault(`${field}.headers[${i}].header`, `${JSON.stringify(header)} is no name of a header`, "header: x-token");
  for (const [i, name] of (source?.queryParams ?? []).entries())
    if (name === "") fault(`${field}.queryParams[${i}]`, "a query parameter has no name", "queryParams: [token]");
  if (!isUsable) return undefined;
  return {
    fromHeaders: (source?.headers ?? []).map(({ header, prefix }) => ({ name: header, valuePrefix: prefix })),
    fromParams: [...(source?.queryParams ?? [])],
  };
}
