// The HTTP filters of a cluster, as far as our own Upstream types use them.

import type { JsonObject } from "@bufbuild/protobuf";
import { anyUnpack } from "@bufbuild/protobuf/wkt";
import { HeaderMutationSchema } from "../../gen/envoy/envoy/extensions/filters/http/header_mutation/v3/header_mutation_pb.js";
import type { HttpFilter } from "../../gen/envoy/envoy/extensions/filters/network/http_connection_manager/v3/http_connection_manager_pb.js";
import { compileLambdaCluster, type LambdaCluster } from "../filters/awsLambda.ts";
import type { Findings } from "./findings.ts";
import { compileHeaderMutations, type HeaderMutations } from "./header-mutations.ts";

export interface ClusterFilters {
  /** Requests are calls of Lambda functions. */
  readonly lambda?: LambdaCluster;
  /** What follows `#` in a path is not sent. */
  readonly cutsQuery?: boolean;
  readonly requestMutations?: HeaderMutations | undefined;
}

export const noFilters: ClusterFilters = {};

/**
 * Undefined when there are others among them.
 *
 * @param metadata what the cluster says of its filters, by their names
 */
export function compileClusterFilters(
  filters: readonly HttpFilter[],
  metadata: Readonly<Record<string, JsonObject>>,
  findings: Findings,
): ClusterFilters | undefined {
  if (filters.length === 0) return noFilters;
  const lambda = compileLambdaCluster(filters, metadata);
  if (lambda !== undefined) return { lambda };
  const [first, last, ...others] = filters;
  if (others.length > 0 || last?.name !== "envoy.filters.http.upstream_codec") return undefined;
  if (first?.name === "headworks.cut_query") return { cutsQuery: true };
  const any = first?.configType.case === "typedConfig" ? first.configType.value : undefined;
  const mutations = any && anyUnpack(any, HeaderMutationSchema)?.mutations;
  if (mutations === undefined || mutations.responseMutations.length > 0) return undefined;
  const added = mutations.requestMutations.flatMap(({ action }) => (action.case === "append" ? [action.value] : []));
  if (added.length !== mutations.requestMutations.length) return undefined;
  return { requestMutations: compileHeaderMutations(added, [], findings, "request_mutations") };
}
