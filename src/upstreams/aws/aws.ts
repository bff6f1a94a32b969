// Upstreams of the type `aws`: Lambda functions of one region. Routes call them by name; Envoy signs the calls.
import { awsEndpoints } from "../../lib/aws/endpoints.ts";
import { defineUpstreamType } from "../../plugin/upstream-type.ts";
import { lambdaCluster, lambdaTarget } from "./cluster.ts";
import { type LambdaPace, lambdaFunctions } from "./functions.ts";
import { lambdaRoute } from "./route.ts";

/** `env`: what AWS's own tools find there, credentials and endpoints. */
export const aws = (env: Readonly<Record<string, string | undefined>> = {}, pace: Partial<LambdaPace> = {}) => {
  const endpoints = awsEndpoints(env);
  return defineUpstreamType({
    kind: "aws",
    cluster: (upstream, context) => lambdaCluster(upstream, context, endpoints),
    tls({ spec }) {
      const { isTls, hostname } = lambdaTarget(spec.region, endpoints);
      return { isOn: isTls, sni: hostname };
    },
    functions: (upstreams, context) => lambdaFunctions(upstreams, context, { env, endpoints, pace }),
    route: lambdaRoute,
  });
};
