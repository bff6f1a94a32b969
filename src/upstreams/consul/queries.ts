// What we ask about one service in one data centre. Upstreams that want the same share the question.
import { ConsulConsistencyModes as Mode } from "../../gen/gloo/gloo/projects/gloo/api/v1/options/consul/query_options_pb.js";
import type { SpecOf } from "../../plugin/upstream-type.ts";
import type { Query } from "./client.ts";

export interface ServiceQuery {
  readonly key: string;
  readonly service: string;
  readonly dataCentre: string;
  readonly path: string;
  readonly parameters: Query;
}

/** The instances of a service with their checks. */
export function serviceQuery({ serviceName, consistencyMode, queryOptions }: SpecOf<"consul">, dataCentre: string): ServiceQuery {
  const consistency = consistencyParameters(consistencyMode);
  // The agent's cache is off unless somebody asks for it: an answer from it may be older than what made us ask.
  const isCached = queryOptions?.useCache === true && consistencyMode !== Mode.ConsistentMode;
  const parameters = { dc: dataCentre, ...consistency, ...(isCached && { cached: "" }) };
  return {
    key: JSON.stringify([serviceName, parameters]),
    service: serviceName,
    dataCentre,
    path: `v1/health/service/${encodeURIComponent(serviceName)}`,
    parameters,
  };
}

/** Consul's query parameters for a mode. */
export function consistencyParameters(mode: Mode | undefined): Query {
  return mode === Mode.StaleMode ? { stale: "" } : mode === Mode.ConsistentMode ? { consistent: "" } : {};
}
