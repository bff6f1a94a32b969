// Upstreams of the type `aws`: Lambda functions of one region. Routes call them by name; Envoy signs the calls.
import type { AwsEndpoints } from "../../lib/aws/endpoints.ts";
import { defineUpstreamType } from "../../plugin/upstream-type.ts";
import { lambdaCluster, lambdaTarget } from "./cluster.ts";
import { lambdaRoute } from "./route.ts";

/** `endpoints`: in place of AWS's own, for all Upstreams of the type. */
export const aws = (endpoints: AwsEndpoints = {}) =>
  defineUpstreamType({
    kind: "aws",
    cluster: (upstream, context) => lambdaCluster(upstream, context, endpoints),
    tls({ spec }) {
      const { isTls, hostname } = lambdaTarget(spec.region, endpoints);
      return { isOn: isTls, sni: hostname };
    },
    route: lambdaRoute,
  });
