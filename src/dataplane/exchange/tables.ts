// What exchanges ask the data plane for.

import type { CompiledRouteConfig } from "../compile/route-config.ts";
import type { Outages } from "../outages.ts";
import type { Telemetry } from "../telemetry.ts";
import type { ClusterRuntime } from "../upstream/cluster.ts";

/** Always the newest. */
export interface Tables {
  routeConfig(name: string): CompiledRouteConfig | undefined;
  cluster(name: string): ClusterRuntime | undefined;
  /** Undefined: nobody is told of what happens. */
  readonly telemetry?: Telemetry;
  /** Undefined: nobody is told of servers that do not answer. */
  readonly outages?: Outages;
}
