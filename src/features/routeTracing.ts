// `tracing` of a route: how many of its requests are traced, and under which name.
import { perMillion } from "../envoy/percent.ts";
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
        clientSampling: perMillion(tracePercentages?.clientSamplePercentage ?? 100),
        randomSampling: perMillion(tracePercentages?.randomSamplePercentage ?? 100),
        overallSampling: perMillion(tracePercentages?.overallSamplePercentage ?? 100),
      },
    };
  },
};
