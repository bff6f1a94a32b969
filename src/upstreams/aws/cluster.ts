// An aws Upstream → Envoy's cluster: the regional endpoint of Lambda, and the HTTP filters that turn a request into a call. Pure.
//
// The filters are the cluster's, not the listener's: nothing else changes when an Upstream comes or goes, and credentials are in one
// place. In order: the form of the payload (Lua), Envoy's aws_lambda (method, path, kind of invocation; which function, the route
// says), what aws_lambda cannot say (Lua), and the signature with the credentials of this Upstream.
import { packAny } from "../../envoy/encode.ts";
import { type HttpFilter, hostCluster, httpFilter } from "../../envoy/hostCluster.ts";
import { ConfigSchema } from "../../gen/envoy/envoy/extensions/filters/http/aws_lambda/v3/aws_lambda_pb.js";
import { AwsRequestSigningSchema } from "../../gen/envoy/envoy/extensions/filters/http/aws_request_signing/v3/aws_request_signing_pb.js";
import { LuaSchema } from "../../gen/envoy/envoy/extensions/filters/http/lua/v3/lua_pb.js";
import { type AwsEndpoints, awsHost, awsPartition } from "../../lib/aws/endpoints.ts";
import { checkAwsRegion } from "../../plugin/awsAccount.ts";
import type { ClusterDraft, SpecOf, TypeContext, TypedUpstream } from "../../plugin/upstream-type.ts";
import { credentialProvider } from "./credentials.ts";
import { callScript, formScript, noAccount, noFunctionScript, requestForms, responseForms, scriptName } from "./scripts.ts";

/** Names of the filters in the cluster; routes configure the first two by them. */
export const formFilter = "headworks.aws_lambda";
export const lambdaFilter = "envoy.filters.http.aws_lambda";

/** What aws_lambda signs with before the signature is made again: it takes no configuration without. */
export const placeholder = { accessKeyId: "unsigned", secretAccessKey: "unsigned" };

export function lambdaCluster(
  { name, spec }: TypedUpstream<"aws">,
  { world, report }: TypeContext,
  endpoints: AwsEndpoints,
): ClusterDraft | undefined {
  checkAwsRegion(spec.region, "aws.region", report);
  if (spec.awsAccountId !== "" && !/^\d{12}$/.test(spec.awsAccountId)) {
    report.error("AwsAccount", `"${spec.awsAccountId}" is not an AWS account: it has 12 digits`, {
      path: "aws.awsAccountId",
      hint: 'quote it: awsAccountId: "012345678901"',
    });
  }
  for (const [i, each] of spec.lambdaFunctions.entries()) checkFunction(each, `aws.lambdaFunctions[${i}]`, report);
  const provider = credentialProvider(spec, world, report);
  if (report.hasErrors || provider === undefined) return undefined;
  const { host, hostname, port } = lambdaTarget(spec.region, endpoints);
  const tellsOrigin = world.settings.gloo?.awsOptions?.propagateOriginalRouting ?? false;
  return {
    ...hostCluster({ name, hostname, port, httpFilters: filters(spec, host, tellsOrigin, provider) }),
    // For data planes that do in code what the scripts do.
    ...(tellsOrigin && { metadata: { filterMetadata: { [formFilter]: { tells_origin: true } } } }),
  };
}

export interface LambdaTarget {
  /** For `Host`, with the port where it is not the usual one. */
  readonly host: string;
  readonly hostname: string;
  readonly port: number;
  readonly isTls: boolean;
}

export function lambdaTarget(region: string, endpoints: AwsEndpoints): LambdaTarget {
  if (endpoints.lambda === undefined) {
    const host = awsHost("lambda", region);
    return { host, hostname: host, port: 443, isTls: true };
  }
  const url = new URL(endpoints.lambda);
  const isTls = url.protocol === "https:";
  const hostname = url.hostname.replace(/^\[|\]$/g, "");
  return { host: url.host, hostname, port: Number(url.port) || (isTls ? 443 : 80), isTls };
}

/** The whole name of a function, which aws_lambda wants; without an account it is cut to the plain name before the request is sent. */
export function functionArn(spec: SpecOf<"aws">, name: string, qualifier: string): string {
  const arn = `arn:${awsPartition(spec.region)}:lambda:${spec.region}:${spec.awsAccountId || noAccount}:function:${name}`;
  return qualifier === "" ? arn : `${arn}:${qualifier}`;
}

function checkFunction(
  { lambdaFunctionName, qualifier }: SpecOf<"aws">["lambdaFunctions"][number],
  path: string,
  report: TypeContext["report"],
): void {
  if (!/^[A-Za-z0-9_-]{1,140}$/.test(lambdaFunctionName)) {
    report.error("LambdaFunctionName", `"${lambdaFunctionName}" is not the name of a Lambda function`, {
      path: `${path}.lambdaFunctionName`,
      hint: "letters, digits, - and _; account and region have fields of their own, so has the qualifier",
    });
  }
  if (!/^(\$LATEST|[A-Za-z0-9_-]{0,128})$/.test(qualifier)) {
    report.error("LambdaFunctionName", `"${qualifier}" is not a version or an alias of a Lambda function`, { path: `${path}.qualifier` });
  }
}

function filters(
  spec: SpecOf<"aws">,
  host: string,
  tellsOrigin: boolean,
  provider: NonNullable<ReturnType<typeof credentialProvider>>,
): HttpFilter[] {
  const scripts = requestForms.flatMap((request) =>
    responseForms.map((response) => [scriptName(request, response), formScript(request, response, tellsOrigin)] as const),
  );
  return [
    httpFilter(
      formFilter,
      packAny(LuaSchema, {
        defaultSourceCode: inline(noFunctionScript),
        sourceCodes: Object.fromEntries(scripts.map(([name, text]) => [name, inline(text)]).sort()),
      }),
    ),
    httpFilter(
      lambdaFilter,
      packAny(ConfigSchema, { arn: functionArn(spec, "none", ""), payloadPassthrough: true, credentials: placeholder }),
    ),
    httpFilter("headworks.aws_lambda.call", packAny(LuaSchema, { defaultSourceCode: inline(callScript) })),
    httpFilter(
      "envoy.filters.http.aws_request_signing",
      packAny(AwsRequestSigningSchema, {
        serviceName: "lambda",
        region: spec.region,
        hostRewrite: host,
        // What is signed must arrive as it is: AWS wants no more than these.
        matchIncludedHeaders: [{ matchPattern: { case: "exact", value: "host" } }, { matchPattern: { case: "prefix", value: "x-amz-" } }],
        ...(provider !== "default" && { credentialProvider: provider }),
      }),
    ),
  ];
}

function inline(value: string) {
  return { specifier: { case: "inlineString" as const, value } };
}
