// Names on the wire, as Gloo has them: existing dashboards, alerts and Envoys know them.
import type { Ref } from "../model/ref.ts";

/** The cluster of an Upstream: `name_namespace`; dots stay. */
export function clusterName(ref: Ref): string {
  return ref.namespace === "" ? ref.name : `${ref.name}_${ref.namespace}`;
}
