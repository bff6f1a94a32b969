// A ClusterLoadAssignment: the addresses of a cluster, by priority.

import type { ClusterLoadAssignment } from "../../gen/envoy/envoy/config/endpoint/v3/endpoint_pb.js";
import { ClusterLoadAssignmentSchema } from "../../gen/envoy/envoy/config/endpoint/v3/endpoint_pb.js";
import { unhandledFields } from "../fields.ts";
import { HealthStatus } from "./enums.ts";
import type { Findings } from "./findings.ts";
import { handledFields } from "./handled.ts";

export interface EndpointSpec {
  /** A host name or an address; for a Unix socket, its path. */
  readonly address: string;
  /** 0 for a Unix socket. */
  readonly port: number;
  readonly isPipe: boolean;
  /** For `auto_host_rewrite` and SNI. */
  readonly hostname: string;
  readonly weight: number;
  readonly health: "healthy" | "degraded" | "unhealthy";
  readonly priority: number;
  /** Its weight is 0 where there is none. */
  readonly locality: { readonly key: string; readonly weight: number };
  /** What it is hashed by, where its metadata says so. */
  readonly hashKey: string | undefined;
  /** `envoy.lb` metadata. */
  readonly lbMetadata: Readonly<Record<string, unknown>> | undefined;
  /** Undefined: it is not checked. */
  readonly check: { readonly port: number | undefined; readonly hostname: string } | undefined;
  /** `envoy.transport_socket_match` metadata. */
  readonly transportMatch: Readonly<Record<string, unknown>> | undefined;
}

export interface EndpointSet {
  readonly endpoints: readonly EndpointSpec[];
  /** Over-provisioning factor: 1.4. */
  readonly overprovisioning: number;
}

export const noEndpoints: EndpointSet = { endpoints: [], overprovisioning: 1.4 };

export function compileEndpoints(assignment: ClusterLoadAssignment, findings: Findings): EndpointSet {
  for (const path of unhandledFields(ClusterLoadAssignmentSchema, assignment, handledFields)) findings.notExecuted(path);
  const endpoints: EndpointSpec[] = [];
  assignment.endpoints.forEach((locality, i) => {
    const { region, zone, subZone } = locality.locality ?? { region: "", zone: "", subZone: "" };
    const place = { key: JSON.stringify([region, zone, subZone]), weight: locality.loadBalancingWeight ?? 0 };
    locality.lbEndpoints.forEach((each, j) => {
      if (each.hostIdentifier.case !== "endpoint") {
        findings.notExecuted(`endpoints[${i}].lb_endpoints[${j}].endpoint_name`);
        return;
      }
      const { address, hostname, healthCheckConfig } = each.hostIdentifier.value;
      const kind = address?.address;
      const lbMetadata = each.metadata?.filterMetadata["envoy.lb"];
      const hashKey = lbMetadata?.hash_key;
      const common = {
        weight: each.loadBalancingWeight ?? 1,
        health: healthOf(each.healthStatus),
        priority: locality.priority,
        locality: place,
        hashKey: typeof hashKey === "string" ? hashKey : undefined,
        lbMetadata,
        check: healthCheckConfig?.disableActiveHealthCheck
          ? undefined
          : { port: healthCheckConfig?.portValue || undefined, hostname: healthCheckConfig?.hostname ?? "" },
        transportMatch: each.metadata?.filterMetadata["envoy.transport_socket_match"],
      };
      if (kind?.case === "socketAddress") {
        const { portSpecifier } = kind.value;
        const port = portSpecifier.case === "portValue" ? portSpecifier.value : 0;
        endpoints.push({ address: kind.value.address, port, isPipe: false, hostname, ...common });
      } else if (kind?.case === "pipe") endpoints.push({ address: kind.value.path, port: 0, isPipe: true, hostname, ...common });
    });
  });
  return { endpoints, overprovisioning: (assignment.policy?.overprovisioningFactor ?? 140) / 100 };
}

function healthOf(status: HealthStatus): EndpointSpec["health"] {
  if (status === HealthStatus.DEGRADED) return "degraded";
  return status === HealthStatus.UNKNOWN || status === HealthStatus.HEALTHY ? "healthy" : "unhealthy";
}
