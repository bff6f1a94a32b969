// What is the same for all types that ask AWS: where they ask, as whom, and with whose keys.
import { isAwsRegion } from "../lib/aws/endpoints.ts";
import type { AwsCredentials } from "../lib/aws/sigv4.ts";
import type { Report } from "../model/problem.ts";
import type { Spec } from "../model/resource.ts";

export function checkAwsRegion(region: string, path: string, report: Report): void {
  if (isAwsRegion(region)) return;
  const what = region === "" ? "region is missing" : `"${region}" is not a region of AWS`;
  report.error("AwsRegion", what, { path, hint: "region: eu-west-1" });
}

/** False after an error. No role is fine. */
export function checkAwsRole(roleArn: string, path: string, report: Report): boolean {
  if (roleArn === "" || /^arn:aws[a-z-]*:iam::\d{12}:role\/\S+$/.test(roleArn)) return true;
  report.error("AwsRole", `"${roleArn}" is not the ARN of a role`, { path, hint: "arn:aws:iam::123456789012:role/name" });
  return false;
}

/** Undefined where the Secret is not there, or of another kind. */
export function awsKeys(secret: Spec<"Secret"> | undefined): AwsCredentials | undefined {
  if (secret?.kind.case !== "aws") return undefined;
  const { accessKey, secretKey, sessionToken } = secret.kind.value;
  return { accessKeyId: accessKey, secretAccessKey: secretKey, ...(sessionToken !== "" && { sessionToken }) };
}
