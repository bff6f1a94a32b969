// Whose credentials Envoy signs with: of a Secret, or of the environment that Envoy runs in; and the role they assume. Pure: what is
// in the environment is for Envoy to find, nothing of it passes through here.
import type { MessageInitShape } from "@bufbuild/protobuf";
import type { AwsCredentialProviderSchema } from "../../gen/envoy/envoy/extensions/common/aws/v3/credential_provider_pb.js";
import type { Report } from "../../model/problem.ts";
import { formatRef } from "../../model/ref.ts";
import { checkAwsRole } from "../../plugin/awsAccount.ts";
import type { SpecOf } from "../../plugin/upstream-type.ts";
import type { World } from "../../plugin/world.ts";

export type CredentialProvider = MessageInitShape<typeof AwsCredentialProviderSchema>;

/** `default`: Envoy's own chain (environment, files, web identity, container, instance). Undefined after an error. */
export function credentialProvider(spec: SpecOf<"aws">, world: World, report: Report): CredentialProvider | "default" | undefined {
  if (!checkAwsRole(spec.roleArn, "aws.roleArn", report)) return undefined;
  if (spec.secretRef) {
    const keys = secretCredentials(spec, world, report);
    if (keys === undefined || spec.roleArn === "") return keys && { customCredentialProviderChain: true, inlineCredential: keys };
    // For the role, Envoy (1.40) looks into no inlineCredential: it would ask for it without a signature. It looks into a file, which may
    // be in the configuration.
    const credentialsDataSource = { specifier: { case: "inlineString" as const, value: credentialsFile(keys) } };
    return withRole({ customCredentialProviderChain: true, credentialsFileProvider: { credentialsDataSource } }, spec.roleArn);
  }
  const fetcher = world.settings.gloo?.awsOptions?.credentialsFetcher;
  if (fetcher?.case === "enableCredentialsDiscovey" && fetcher.value) return withRole("default", spec.roleArn);
  if (fetcher?.case === "serviceAccountCredentials") {
    // Envoy's own chain finds the web identity, and takes the service account's own role (AWS_ROLE_ARN) by it. Only a role that the
    // service account takes directly has to be told; the token's file is AWS_WEB_IDENTITY_TOKEN_FILE of Envoy's environment.
    const isDirect = spec.disableRoleChaining && spec.roleArn !== "";
    if (!isDirect) return withRole("default", spec.roleArn);
    return { customCredentialProviderChain: true, assumeRoleWithWebIdentityProvider: { roleArn: spec.roleArn } };
  }
  report.error(
    "AwsCredentialsMissing",
    "no aws secret provided. consider setting enableCredentialsDiscovey to true or enabling service account credentials if running in EKS",
    { path: "aws.secretRef", hint: "name a Secret with secretRef, or set gloo.awsOptions.enableCredentialsDiscovey: true in the Settings" },
  );
  return undefined;
}

function secretCredentials({ secretRef }: SpecOf<"aws">, world: World, report: Report) {
  if (!secretRef) return undefined;
  const secret = world.get("Secret", secretRef)?.spec;
  if (secret === undefined) {
    report.error("CloudSecretNotFound", `retrieving aws secret: list did not find secret ${formatRef(secretRef)}`, {
      path: "aws.secretRef",
      elsewhere: true,
    });
    return undefined;
  }
  if (secret.kind.case !== "aws") {
    report.error("CloudSecretOfOtherKind", `secret (${secretRef.name}.${secretRef.namespace}) is not an AWS secret`, {
      path: "aws.secretRef",
      elsewhere: true,
    });
    return undefined;
  }
  const { accessKey, secretKey, sessionToken } = secret.kind.value;
  // The token is the only one that may be missing.
  for (const [field, value] of Object.entries({ access_key: accessKey, secret_key: secretKey, session_token: sessionToken || "-" })) {
    if (!/^[\x21-\x7e]+$/.test(value)) {
      report.error("CloudSecretInvalid", `${field} is not a valid string`, { path: "aws.secretRef", elsewhere: true });
      return undefined;
    }
  }
  return { accessKeyId: accessKey, secretAccessKey: secretKey, sessionToken };
}

/** As `~/.aws/credentials` has them. */
function credentialsFile({ accessKeyId, secretAccessKey, sessionToken }: NonNullable<ReturnType<typeof secretCredentials>>): string {
  const token = sessionToken === "" ? "" : `aws_session_token = ${sessionToken}\n`;
  return `[default]\naws_access_key_id = ${accessKeyId}\naws_secret_access_key = ${secretAccessKey}\n${token}`;
}

function withRole(provider: CredentialProvider | "default", roleArn: string): CredentialProvider | "default" {
  if (roleArn === "") return provider;
  return {
    customCredentialProviderChain: true,
    assumeRoleCredentialProvider: { roleArn, ...(provider !== "default" && { credentialProvider: provider }) },
  };
}
