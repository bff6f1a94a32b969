// Lambda without Envoy: the filters that an aws Upstream's cluster has in Envoy, executed as one. The request is held until it is whole, becomes
// a signed call, and the answer becomes the response. What Lua does there is code here; tests hold both to the same.

import type { JsonObject } from "@bufbuild/protobuf";
import type { Any } from "@bufbuild/protobuf/wkt";
import { anyUnpack } from "@bufbuild/protobuf/wkt";
import type { AwsCredentialProvider } from "../../gen/envoy/envoy/extensions/common/aws/v3/credential_provider_pb.js";
import {
  Config_InvocationMode as Mode,
  PerRouteConfigSchema,
} from "../../gen/envoy/envoy/extensions/filters/http/aws_lambda/v3/aws_lambda_pb.js";
import { AwsRequestSigningSchema } from "../../gen/envoy/envoy/extensions/filters/http/aws_request_signing/v3/aws_request_signing_pb.js";
import { LuaPerRouteSchema } from "../../gen/envoy/envoy/extensions/filters/http/lua/v3/lua_pb.js";
import type { HttpFilter } from "../../gen/envoy/envoy/extensions/filters/network/http_connection_manager/v3/http_connection_manager_pb.js";
import {
  assumeRole,
  type CredentialContext,
  type ExpiringCredentials,
  environmentCredentials,
  webIdentity,
} from "../../lib/aws/credentials.ts";
import { awsEndpoints } from "../../lib/aws/endpoints.ts";
import { type AwsCredentials, sign } from "../../lib/aws/sigv4.ts";
import { type Headers, removeHeader, setHeader } from "../http1/headers.ts";
import type { OutgoingRequest } from "../upstream/stream.ts";
import { eventOf } from "./lambdaEvent.ts";

/** What the cluster says: who signs, for whom. */
export interface LambdaCluster {
  readonly region: string;
  readonly host: string;
  readonly tellsOrigin: boolean;
  readonly credentials: CredentialSource;
}

/** What the route says: which function, in which form. */
export interface LambdaRoute {
  /** `/2015-03-31/functions/…`. */
  readonly path: string;
  readonly isAsync: boolean;
  readonly request: "body" | "event";
  readonly response: "asIs" | "alb" | "apiGateway";
}

/** The names of the filters, as the Upstream type gives them. */
export const formFilter = "headworks.aws_lambda";
export const lambdaFilter = "envoy.filters.http.aws_lambda";
const callFilter = "headworks.aws_lambda.call";
const signingFilter = "envoy.filters.http.aws_request_signing";
const codecFilter = "envoy.filters.http.upstream_codec";

/** Undefined for filters that are not exactly those of an aws Upstream. */
export function compileLambdaCluster(
  filters: readonly HttpFilter[],
  metadata: Readonly<Record<string, JsonObject>>,
): LambdaCluster | undefined {
  if (filters.map(({ name }) => name).join() !== [formFilter, lambdaFilter, callFilter, signingFilter, codecFilter].join())
    return undefined;
  const signing = filters.find(({ name }) => name === signingFilter)?.configType;
  const signer = signing?.case === "typedConfig" ? anyUnpack(signing.value, AwsRequestSigningSchema) : undefined;
  if (signer === undefined) return undefined;
  return {
    region: signer.region,
    host: signer.hostRewrite,
    tellsOrigin: metadata[formFilter]?.tells_origin === true,
    credentials: new CredentialSource(signer.credentialProvider, signer.region),
  };
}

/** Of a route or a weighted cluster; undefined where it calls no function. */
export function compileLambdaRoute(filters: Readonly<Record<string, Any>>): LambdaRoute | undefined {
  const lambda = filters[lambdaFilter] && anyUnpack(filters[lambdaFilter], PerRouteConfigSchema)?.invokeConfig;
  const override = filters[formFilter] && anyUnpack(filters[formFilter], LuaPerRouteSchema)?.override;
  if (!lambda || override?.case !== "name") return undefined;
  const [request, response] = override.value.split("-");
  if ((request !== "body" && request !== "event") || (response !== "asIs" && response !== "alb" && response !== "apiGateway"))
    return undefined;
  return { path: invocationPath(lambda.arn), isAsync: lambda.invocationMode === Mode.ASYNCHRONOUS, request, response };
}

const noAccount = "000000000000";

/** A function without an account is called by its name. */
function invocationPath(arn: string): string {
  const [, , , , account, , name = "", qualifier = ""] = arn.split(":");
  if (account !== noAccount) return `/2015-03-31/functions/${arn}/invocations`;
  return `/2015-03-31/functions/${name}/invocations${qualifier === "" ? "" : `?Qualifier=${qualifier}`}`;
}

export interface CallView {
  readonly method: string;
  readonly path: string;
  readonly authority: string;
  readonly scheme: string;
  readonly headers: Headers;
}

/** The call, as it is sent, and its payload. */
export function lambdaRequest(
  view: CallView,
  body: Buffer,
  cluster: LambdaCluster,
  route: LambdaRoute,
  credentials: AwsCredentials,
  now: Date,
) {
  const payload = route.request === "event" ? eventOf(view, body) : body;
  const headers: Headers = [...view.headers];
  for (const name of ["authorization", "x-amz-security-token", "x-amz-date", "x-amz-content-sha256"]) removeHeader(headers, name);
  setHeader(headers, "x-amz-invocation-type", route.isAsync ? "Event" : "RequestResponse");
  setHeader(headers, "x-amz-log-type", "None");
  if (route.request === "event") setHeader(headers, "content-type", "application/json");
  if (cluster.tellsOrigin) {
    setHeader(headers, "x-envoy-original-path", view.path);
    setHeader(headers, "x-envoy-original-method", view.method);
  }
  const signed: Record<string, string> = { host: cluster.host };
  for (let i = 0; i < headers.length; i += 2) {
    const name = headers[i] as string;
    if (name.startsWith("x-amz-"))
      signed[name] = signed[name] === undefined ? (headers[i + 1] as string) : `${signed[name]},${headers[i + 1]}`;
  }
  const proof = sign(
    { method: "POST", path: route.path, headers: signed, body: payload },
    { service: "lambda", region: cluster.region, credentials, now },
  );
  for (const [name, value] of Object.entries(proof)) setHeader(headers, name, value);
  const request: OutgoingRequest = {
    method: "POST",
    path: route.path,
    authority: cluster.host,
    scheme: "https",
    headers,
    contentLength: payload.length,
    isChunked: false,
    upgrade: undefined,
  };
  return { request, payload };
}

/** The credentials of one cluster: there, or fetched and kept until a minute before they end. */
export class CredentialSource {
  readonly #provider: AwsCredentialProvider | undefined;
  readonly #region: string;
  #kept: ExpiringCredentials | undefined;
  #asking: Promise<AwsCredentials> | undefined;

  constructor(provider: AwsCredentialProvider | undefined, region: string) {
    this.#provider = provider;
    this.#region = region;
    const inline = provider?.inlineCredential;
    if (inline) this.#kept = plain(inline);
  }

  /** Undefined: ask. */
  get now(): AwsCredentials | undefined {
    return this.#kept !== undefined && (this.#kept.expiresAt ?? Number.POSITIVE_INFINITY) > Date.now() + 60_000 ? this.#kept : undefined;
  }

  ask(): Promise<AwsCredentials> {
    this.#asking ??= this.#fetch().finally(() => {
      this.#asking = undefined;
    });
    return this.#asking;
  }

  async #fetch(): Promise<AwsCredentials> {
    const context: CredentialContext = {
      env: process.env,
      region: this.#region,
      endpoints: awsEndpoints(process.env),
      signal: AbortSignal.timeout(15_000),
    };
    this.#kept = await provided(this.#provider, context);
    return this.#kept;
  }
}

async function provided(provider: AwsCredentialProvider | undefined, context: CredentialContext): Promise<ExpiringCredentials> {
  if (provider?.inlineCredential) return plain(provider.inlineCredential);
  const file = provider?.credentialsFileProvider?.credentialsDataSource?.specifier;
  if (file?.case === "inlineString") return fromFile(file.value);
  if (provider?.assumeRoleWithWebIdentityProvider) return webIdentity(provider.assumeRoleWithWebIdentityProvider.roleArn, context);
  if (provider?.assumeRoleCredentialProvider) {
    const { roleArn, credentialProvider } = provider.assumeRoleCredentialProvider;
    return assumeRole(roleArn, await provided(credentialProvider, context), context);
  }
  const found = await environmentCredentials(context);
  if (found === undefined) throw new Error("the environment has no AWS credentials");
  return found;
}

/** A file of credentials that is in the configuration. */
function fromFile(text: string): AwsCredentials {
  const field = (name: string) => new RegExp(`^aws_${name}\\s*=\\s*(\\S+)`, "m").exec(text)?.[1] ?? "";
  return plain({ accessKeyId: field("access_key_id"), secretAccessKey: field("secret_access_key"), sessionToken: field("session_token") });
}

function plain({
  accessKeyId,
  secretAccessKey,
  sessionToken,
}: {
  accessKeyId: string;
  secretAccessKey: string;
  sessionToken: string;
}): AwsCredentials {
  return { accessKeyId, secretAccessKey, ...(sessionToken !== "" && { sessionToken }) };
}
