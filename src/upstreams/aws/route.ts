// A route to an aws Upstream: which function it calls and in what form, as configuration of the filters in the cluster. Pure.
import { packAny } from "../../envoy/encode.ts";
import { Config_InvocationMode, PerRouteConfigSchema } from "../../gen/envoy/envoy/extensions/filters/http/aws_lambda/v3/aws_lambda_pb.js";
import { LuaPerRouteSchema } from "../../gen/envoy/envoy/extensions/filters/http/lua/v3/lua_pb.js";
import type { DestinationSpec } from "../../gen/gloo/gloo/projects/gloo/api/v1/destination_spec_pb.js";
import {
  type DestinationSpec as Call,
  DestinationSpec_InvocationStyle as Style,
} from "../../gen/gloo/gloo/projects/gloo/api/v1/options/aws/aws_pb.js";
import { closest } from "../../lib/closest.ts";
import { formatRef } from "../../model/ref.ts";
import type { RouteDraft, SpecOf, TypeContext, TypedUpstream } from "../../plugin/upstream-type.ts";
import { formFilter, functionArn, lambdaFilter, placeholder } from "./cluster.ts";
import { type RequestForm, type ResponseForm, scriptName } from "./scripts.ts";

export function lambdaRoute(
  route: RouteDraft,
  upstream: TypedUpstream<"aws">,
  destination: DestinationSpec | undefined,
  context: TypeContext,
): RouteDraft {
  const { spec } = upstream;
  const { world, report } = context;
  const wanted = destination?.destinationType;
  const call = wanted?.case === "aws" ? withOverrides(wanted.value, spec.destinationOverrides) : spec.destinationOverrides;
  const fallsBack = world.settings.gloo?.awsOptions?.fallbackToFirstFunction ?? false;
  const named = wanted?.case === "aws" ? wanted.value.logicalName || spec.destinationOverrides?.logicalName || "" : "";
  const found =
    named === "" ? (fallsBack ? spec.lambdaFunctions[0] : undefined) : spec.lambdaFunctions.find((each) => logicalNameOf(each) === named);
  if (found === undefined) {
    reportMissing(named, wanted?.case, fallsBack, upstream, context);
    return route;
  }
  const forms = formsOf(call, report);
  if (forms === undefined) return route;
  const invocationMode = call?.invocationStyle === Style.ASYNC ? Config_InvocationMode.ASYNCHRONOUS : Config_InvocationMode.SYNCHRONOUS;
  const arn = functionArn(spec, found.lambdaFunctionName, found.qualifier);
  return {
    ...route,
    typedPerFilterConfig: {
      ...route.typedPerFilterConfig,
      [lambdaFilter]: packAny(PerRouteConfigSchema, {
        invokeConfig: { arn, invocationMode, payloadPassthrough: true, credentials: placeholder },
      }),
      [formFilter]: packAny(LuaPerRouteSchema, { override: { case: "name", value: scriptName(forms.request, forms.response) } }),
    },
  };
}

/** As discovery names functions, too. */
export function logicalNameOf({ logicalName, lambdaFunctionName }: SpecOf<"aws">["lambdaFunctions"][number]): string {
  return logicalName || lambdaFunctionName;
}

/** What the route leaves out, the Upstream says. */
function withOverrides(own: Call, defaults: Call | undefined): Call {
  if (!defaults) return own;
  return {
    ...own,
    invocationStyle: own.invocationStyle || defaults.invocationStyle,
    requestTransformation: own.requestTransformation || defaults.requestTransformation,
    responseTransformation: own.responseTransformation || defaults.responseTransformation,
    unwrapAsAlb: own.unwrapAsAlb || defaults.unwrapAsAlb,
    unwrapAsApiGateway: own.unwrapAsApiGateway || defaults.unwrapAsApiGateway,
    wrapAsApiGateway: own.wrapAsApiGateway || defaults.wrapAsApiGateway,
  };
}

function formsOf(
  call: Call | undefined,
  report: TypeContext["report"],
): { readonly request: RequestForm; readonly response: ResponseForm } | undefined {
  const asApiGateway = call?.unwrapAsApiGateway || call?.responseTransformation;
  if (call?.unwrapAsAlb && asApiGateway) {
    report.error("LambdaForm", "only one of unwrapAsAlb and unwrapAsApiGateway/responseTransformation may be set", {
      path: "aws.unwrapAsAlb",
    });
    return undefined;
  }
  if (call?.wrapAsApiGateway) {
    report.warn(
      "LambdaForm",
      "wrapAsApiGateway is not supported by this version; the function gets the request in the form of requestTransformation",
      {
        path: "aws.wrapAsApiGateway",
        hint: "the event has headers, httpMethod, path, queryStringParameters and body, as API Gateway's has; requestContext and resource are missing",
      },
    );
  }
  const isAsync = call?.invocationStyle === Style.ASYNC;
  // An asynchronous call is answered at once with 202 and nothing in it.
  const response = isAsync ? "asIs" : call?.unwrapAsAlb ? "alb" : asApiGateway ? "apiGateway" : "asIs";
  return { request: call?.requestTransformation || call?.wrapAsApiGateway ? "event" : "body", response };
}

function reportMissing(
  named: string,
  kind: string | undefined,
  fallsBack: boolean,
  { ref, spec }: TypedUpstream<"aws">,
  { report }: TypeContext,
): void {
  const known = spec.lambdaFunctions.map(logicalNameOf);
  if (named !== "") {
    const guess = closest(named, known);
    report.error("FunctionNotFound", `a route references ${named} AWS lambda which does not exist on the route's upstream`, {
      path: "aws.logicalName",
      hint: guess ? `did you mean ${guess}?` : `${formatRef(ref)} has ${known.join(", ") || "no functions"}`,
    });
    return;
  }
  const what = kind !== undefined && kind !== "aws" ? `${kind} functions cannot be called through it` : "the route names no function";
  report.warn("FunctionMissing", `the Upstream ${formatRef(ref)} is Lambda, and ${what}: requests are answered with 500`, {
    hint: fallsBack ? "the Upstream has no functions" : "destinationSpec: {aws: {logicalName: name}}",
  });
}
