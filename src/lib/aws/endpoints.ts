// Where AWS answers: host names of its regional endpoints, and those that the environment puts in their place.

/** The services that Headworks talks to. */
export type AwsService = "lambda" | "ec2" | "sts";

/** Endpoints in place of AWS's own: a VPC endpoint, an emulator. */
export type AwsEndpoints = { readonly [S in AwsService]?: string };

/** `AWS_ENDPOINT_URL_LAMBDA` and its like, else `AWS_ENDPOINT_URL`, as the SDKs of AWS know them. What is no URL is left out. */
export function awsEndpoints(env: Readonly<Record<string, string | undefined>>): AwsEndpoints {
  if (env.AWS_IGNORE_CONFIGURED_ENDPOINT_URLS?.toLowerCase() === "true") return {};
  const of = (service: AwsService) => {
    const url = env[`AWS_ENDPOINT_URL_${service.toUpperCase()}`] || env.AWS_ENDPOINT_URL;
    return url && URL.canParse(url) ? { [service]: url } : {};
  };
  return { ...of("lambda"), ...of("ec2"), ...of("sts") };
}

/** `lambda.eu-west-1.amazonaws.com`; the regions of China have a domain of their own. */
export function awsHost(service: AwsService, region: string): string {
  return `${service}.${region}.amazonaws.com${region.startsWith("cn-") ? ".cn" : ""}`;
}

/** The partition in ARNs of this region. */
export function awsPartition(region: string): "aws" | "aws-cn" | "aws-us-gov" {
  if (region.startsWith("cn-")) return "aws-cn";
  return region.startsWith("us-gov-") ? "aws-us-gov" : "aws";
}

/** What a region looks like: it becomes part of a host name. */
export function isAwsRegion(text: string): boolean {
  return /^[a-z][a-z0-9-]{1,40}[a-z0-9]$/.test(text);
}
