// Rules of Envoy about values that its schema does not say: found by sending random configurations to Envoy 1.40
// (test/e2e/worlds-random.test.ts). What a feature checks itself has better words; this is for what nobody thinks of.
import type { WeightedCluster_ClusterWeight } from "../gen/envoy/envoy/config/route/v3/route_components_pb.js";
import type { RegexMatcher } from "../gen/envoy/envoy/type/matcher/v3/regex_pb.js";
import { regexFault } from "./regex.ts";

export interface Broken {
  /** Below the message; empty for the message itself. */
  readonly path: string;
  readonly message: string;
}

type Rule<M = never> = (message: M) => Broken | undefined;

/** By the name of the message. */
export const unwrittenRules: Readonly<Record<string, Rule>> = {
  "envoy.type.matcher.v3.RegexMatcher": ({ regex, engineType }: RegexMatcher) => {
    const own = engineType.case === "googleRe2" ? engineType.value.maxProgramSize : undefined;
    return broken("regex", regexFault(regex, own));
  },
  "envoy.config.route.v3.WeightedCluster.ClusterWeight": ({ name, clusterHeader }: WeightedCluster_ClusterWeight) =>
    broken("name", name === "" && clusterHeader === "" ? "value is required: no cluster is named" : undefined),
};

function broken(path: string, message: string | undefined): Broken | undefined {
  return message === undefined ? undefined : { path, message };
}
