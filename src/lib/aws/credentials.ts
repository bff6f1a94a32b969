// Whose credentials this process itself calls AWS with, where no Secret names them. Edge. In the order of AWS's own SDKs: the
// environment, web identity (IRSA), the container (ECS, EKS Pod Identity), the instance (IMDSv2). Files under ~/.aws and SSO are not
// read: they are a developer's, and a Secret or the environment does the same.
import { readFile } from "node:fs/promises";
import { queryAws, readAtMost } from "./client.ts";
import type { AwsEndpoints } from "./endpoints.ts";
import type { AwsCredentials } from "./sigv4.ts";
import { all, text, type XmlElement } from "./xml.ts";

export interface CredentialContext {
  readonly env: Readonly<Record<string, string | undefined>>;
  readonly region: string;
  readonly endpoints: AwsEndpoints;
  readonly signal: AbortSignal;
}

export interface ExpiringCredentials extends AwsCredentials {
  /** Milliseconds since 1970; absent for those that stay. */
  readonly expiresAt?: number;
}

/** Undefined when the environment has none. Throws when it says where they are and they cannot be had. */
export async function environmentCredentials(context: CredentialContext): Promise<ExpiringCredentials | undefined> {
  const { env } = context;
  if (env.AWS_ACCESS_KEY_ID && env.AWS_SECRET_ACCESS_KEY) {
    return {
      accessKeyId: env.AWS_ACCESS_KEY_ID,
      secretAccessKey: env.AWS_SECRET_ACCESS_KEY,
      ...(env.AWS_SESSION_TOKEN && { sessionToken: env.AWS_SESSION_TOKEN }),
    };
  }
  if (env.AWS_WEB_IDENTITY_TOKEN_FILE && env.AWS_ROLE_ARN) return webIdentity(env.AWS_ROLE_ARN, context);
  const container = containerUrl(env);
  if (container !== undefined) return fromContainer(container, context);
  if (env.AWS_EC2_METADATA_DISABLED?.toLowerCase() === "true") return undefined;
  return fromInstance(context).catch(() => undefined); // not on an instance
}

/** The service account's web identity takes a role. */
export async function webIdentity(roleArn: string, { env, region, endpoints, signal }: CredentialContext): Promise<ExpiringCredentials> {
  const token = (await readFile(env.AWS_WEB_IDENTITY_TOKEN_FILE ?? "", "utf8")).trim();
  const answer = await queryAws(
    { service: "sts", region, endpoints, signal },
    {
      Action: "AssumeRoleWithWebIdentity",
      Version: "2011-06-15",
      RoleArn: roleArn,
      RoleSessionName: env.AWS_ROLE_SESSION_NAME || "headworks",
      WebIdentityToken: token,
    },
  );
  return fromSts(answer, "AssumeRoleWithWebIdentityResult");
}

export async function assumeRole(
  roleArn: string,
  credentials: AwsCredentials,
  { region, endpoints, signal }: CredentialContext,
): Promise<ExpiringCredentials> {
  const parameters = { Action: "AssumeRole", Version: "2011-06-15", RoleArn: roleArn, RoleSessionName: "headworks" };
  return fromSts(await queryAws({ service: "sts", region, endpoints, signal, credentials }, parameters), "AssumeRoleResult");
}

function fromSts(answer: XmlElement, result: string): ExpiringCredentials {
  const [found] = all(answer, result, "Credentials");
  if (found === undefined) throw new Error("AWS STS answered without credentials");
  return {
    accessKeyId: text(found, "AccessKeyId"),
    secretAccessKey: text(found, "SecretAccessKey"),
    sessionToken: text(found, "SessionToken"),
    expiresAt: Date.parse(text(found, "Expiration")) || Date.now() + 900_000,
  };
}

const ecsHost = "http://169.254.170.2";
const imdsHost = "http://169.254.169.254";

function containerUrl(env: CredentialContext["env"]): string | undefined {
  if (env.AWS_CONTAINER_CREDENTIALS_RELATIVE_URI) return `${ecsHost}${env.AWS_CONTAINER_CREDENTIALS_RELATIVE_URI}`;
  const full = env.AWS_CONTAINER_CREDENTIALS_FULL_URI;
  if (!full || !URL.canParse(full)) return undefined;
  const { protocol, hostname } = new URL(full);
  const isLocal = ["localhost", "127.0.0.1", "[::1]", "169.254.170.2", "169.254.170.23", "[fd00:ec2::23]"].includes(hostname);
  return protocol === "https:" || isLocal ? full : undefined;
}

async function fromContainer(url: string, { env, signal }: CredentialContext): Promise<ExpiringCredentials> {
  const file = env.AWS_CONTAINER_AUTHORIZATION_TOKEN_FILE;
  const token = file ? (await readFile(file, "utf8")).trim() : env.AWS_CONTAINER_AUTHORIZATION_TOKEN;
  return fromMetadata(await get(url, token ? { authorization: token } : {}, signal, 5_000));
}

async function fromInstance({ env, signal }: CredentialContext): Promise<ExpiringCredentials> {
  const host = env.AWS_EC2_METADATA_SERVICE_ENDPOINT?.replace(/\/$/, "") || imdsHost;
  const token = await get(`${host}/latest/api/token`, { "x-aws-ec2-metadata-token-ttl-seconds": "300" }, signal, 1_000, "PUT");
  const headers = { "x-aws-ec2-metadata-token": token };
  const folder = `${host}/latest/meta-data/iam/security-credentials/`;
  const [role = ""] = (await get(folder, headers, signal, 1_000)).split("\n");
  return fromMetadata(await get(folder + encodeURIComponent(role.trim()), headers, signal, 1_000));
}

function fromMetadata(content: string): ExpiringCredentials {
  const { AccessKeyId, SecretAccessKey, Token, Expiration } = JSON.parse(content) as Record<string, string>;
  if (!AccessKeyId || !SecretAccessKey) throw new Error("the metadata service answered without credentials");
  return {
    accessKeyId: AccessKeyId,
    secretAccessKey: SecretAccessKey,
    ...(Token && { sessionToken: Token }),
    expiresAt: Date.parse(Expiration ?? "") || Date.now() + 300_000,
  };
}

async function get(url: string, headers: Record<string, string>, signal: AbortSignal, timeout: number, method = "GET"): Promise<string> {
  const answer = await fetch(url, { method, headers, redirect: "error", signal: AbortSignal.any([signal, AbortSignal.timeout(timeout)]) });
  if (!answer.ok) throw new Error(`${new URL(url).host} answered ${answer.status}`);
  return readAtMost(answer, 100_000);
}
