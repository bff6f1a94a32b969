// `tracing` of a route: how many of its requests are traced, and under which name.
import { FractionalPercent_DenominatorType as Denominator } from "../gen/envoy/envoy/type/v3/percent_pb.js";
import type { Feature } from "../plugin/feature.ts";

export const routeTracing: Feature = {
  name: "routeTracing",
  glooName: "tracing",
  fields: { route: ["tracing"] },
  route(route, { tracing }) {
    if (tracing === undefined) return route;
    const { routeDescriptor, propagate, tracePercentages } = tracing;
    return {
      ...route,
      ...(routeDescriptor !== "" && { decorator: { operation: routeDescriptor, ...(propagate !== undefined && { propagate }) } }),
      tracing: {
        clientSampling: perMillion(tracePercentages?.clientSamplePercentage),
        randomSampling: perMillion(tracePercentages?.randomSamplePercentage),
        overallSampling: perMillion(tracePercentages?.overallSamplePercentage),
      },
    };
  },
};

function perMillion(percentage = 100) {
  return { numerator: Math.max(0, Math.round(percentage * 10_000)), denominator: Denominator.MILLION };
}
