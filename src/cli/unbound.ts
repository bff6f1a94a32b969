// Findings about ports and addresses on which nobody can listen.
import type { Finding } from "../control-plane.ts";
import { whereOf } from "./findings-pretty.ts";

export function isUnbound({ problem: { reason, message } }: Finding): boolean {
  return reason === "ListenerNotBound" || (reason === "RefusedByEnvoy" && message.includes("cannot bind"));
}

/** ` (config/gateway.yaml:8:13)`: where those that cannot be had are written. Empty where that is not known. */
export function unboundPlaces(findings: readonly Finding[]): string {
  const places = findings.filter((finding) => isUnbound(finding) && finding.place !== undefined).map(whereOf);
  return places.length === 0 ? "" : ` (${[...new Set(places)].join(", ")})`;
}
