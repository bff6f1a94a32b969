// Upstreams of the type `awsEc2`: the running instances of EC2 that have certain tags.
import { awsEndpoints } from "../../lib/aws/endpoints.ts";
import { defineUpstreamType } from "../../plugin/upstream-type.ts";
import { ec2Cluster } from "./cluster.ts";
import { type Ec2World, ec2Endpoints } from "./endpoints.ts";

/** `env`: what AWS's own tools find there, credentials and endpoints. */
export const awsEc2 = (env: Ec2World["env"] = {}, pace: Ec2World["pace"] = {}) =>
  defineUpstreamType({
    kind: "awsEc2",
    cluster: ec2Cluster,
    endpoints: (upstreams, context) => ec2Endpoints(upstreams, context, { env, endpoints: awsEndpoints(env), pace }),
  });
