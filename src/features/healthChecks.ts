// `healthChecks` and `ignoreHealthOnHostRemoval`: Envoy asks the hosts themselves whether they are well.
import { fromBinary, type Message, type MessageInitShape } from "@bufbuild/protobuf";
import type { Any } from "@bufbuild/protobuf/wkt";
import { packAny } from "../envoy/encode.ts";
import { addedHeaderFault, headerNameFault } from "../envoy/header-format.ts";
import { HeaderValueOption_HeaderAppendAction as Append, type HeaderValueOptionSchema } from "../gen/envoy/envoy/config/core/v3/base_pb.js";
import type { HealthCheckSchema } from "../gen/envoy/envoy/config/core/v3/health_check_pb.js";
import { RedisSchema } from "../gen/envoy/envoy/extensions/health_checkers/redis/v3/redis_pb.js";
import { ThriftSchema } from "../gen/envoy/envoy/extensions/health_checkers/thrift/v3/thrift_pb.js";
import { CodecClientType } from "../gen/envoy/envoy/type/v3/http_pb.js";
import type {
  HealthCheck,
  HealthCheck_GrpcHealthCheck,
  HealthCheck_HttpHealthCheck,
  HealthCheck_Payload,
} from "../gen/gloo/gloo/projects/gloo/api/external/envoy/api/v2/core/health_check_pb.js";
import type { Report } from "../model/problem.ts";
import type { Feature } from "../plugin/feature.ts";
import type { World } from "../plugin/world.ts";

type EnvoyCheck = Exclude<MessageInitShape<typeof HealthCheckSchema>, Message>;
type Checker = NonNullable<EnvoyCheck["healthChecker"]>;

interface Context {
  readonly world: World;
  readonly report: Report;
}

export const healthChecks: Feature = {
  name: "healthChecks",
  upstream(cluster, { upstream }, { world, report }) {
    const kept = upstream.ignoreHealthOnHostRemoval ? { ...cluster, ignoreHealthOnHostRemoval: true } : cluster;
    const grpc = upstream.healthChecks.findIndex(({ healthChecker }) => healthChecker.case === "grpcHealthCheck");
    if (grpc >= 0 && !upstream.useHttp2) {
      report.error("GrpcHealthCheckWithoutHttp2", "a gRPC health check needs HTTP/2 towards the hosts; Envoy would refuse it", {
        path: `healthChecks[${grpc}].grpcHealthCheck`,
        hint: "add useHttp2: true to the Upstream",
      });
    }
    const checks = upstream.healthChecks.flatMap((check, i) => envoyCheck(check, i, { world, report }) ?? []);
    if (checks.length === 0) return kept;
    // Envoy 1.40 insists on names where there are several (Gloo gives none).
    return {
      ...kept,
      healthChecks: checks.length === 1 ? checks : checks.map((check, i) => ({ ...check, name: `${kindOf(check)}-${i}` })),
    };
  },
};

function envoyCheck(check: HealthCheck, i: number, context: Context): EnvoyCheck | undefined {
  const path = `healthChecks[${i}]`;
  const missing = missingField(check);
  if (missing) {
    const [field, hint] = missing;
    const shown = field[0]?.toUpperCase() + field.slice(1);
    context.report.error("HealthCheckIncomplete", `The field HealthCheck[${i}].${shown} cannot be nil`, { path: `${path}.${field}`, hint });
    return undefined;
  }
  const healthChecker = checker(check, path, context);
  if (!healthChecker) return undefined;
  return {
    ...(check.timeout && { timeout: check.timeout }),
    ...(check.interval && { interval: check.interval }),
    ...(check.initialJitter && { initialJitter: check.initialJitter }),
    ...(check.intervalJitter && { intervalJitter: check.intervalJitter }),
    intervalJitterPercent: check.intervalJitterPercent,
    unhealthyThreshold: check.unhealthyThreshold,
    healthyThreshold: check.healthyThreshold,
    reuseConnection: check.reuseConnection,
    ...(check.noTrafficInterval && { noTrafficInterval: check.noTrafficInterval }),
    ...(check.unhealthyInterval && { unhealthyInterval: check.unhealthyInterval }),
    ...(check.unhealthyEdgeInterval && { unhealthyEdgeInterval: check.unhealthyEdgeInterval }),
    ...(check.healthyEdgeInterval && { healthyEdgeInterval: check.healthyEdgeInterval }),
    eventLogPath: check.eventLogPath,
    alwaysLogHealthCheckFailures: check.alwaysLogHealthCheckFailures,
    healthChecker,
  };
}

/** `http`, `tcp`, `grpc`, `custom`. */
function kindOf({ healthChecker }: EnvoyCheck): string {
  return healthChecker?.case?.replace("HealthCheck", "") ?? "";
}

/** The first field that is missing, as Gloo names only one, and what to write. */
function missingField(check: HealthCheck): readonly [field: string, hint: string] | undefined {
  if (check.healthyThreshold === undefined) return ["healthyThreshold", "for example healthyThreshold: 2"];
  if (check.unhealthyThreshold === undefined) return ["unhealthyThreshold", "for example unhealthyThreshold: 3"];
  if (check.healthChecker.case === undefined) return ["healthChecker", "one of httpHealthCheck, tcpHealthCheck, grpcHealthCheck"];
  // Gloo does not ask for these, but Envoy does.
  if (check.timeout === undefined) return ["timeout", "for example timeout: 2s"];
  if (check.interval === undefined) return ["interval", "for example interval: 10s"];
  return undefined;
}

function checker({ healthChecker }: HealthCheck, path: string, context: Context): Checker | undefined {
  switch (healthChecker.case) {
    case "httpHealthCheck":
      return httpChecker(healthChecker.value, `${path}.httpHealthCheck`, context);
    case "tcpHealthCheck": {
      const { send, receive } = healthChecker.value;
      const payloads = [...(send ? [send] : []), ...receive];
      if (!payloads.every((payload) => isHex(payload, `${path}.tcpHealthCheck`, context.report))) return undefined;
      return {
        case: "tcpHealthCheck",
        value: { ...(send && { send: payloadOf(send) }), receive: receive.map(payloadOf) },
      };
    }
    case "grpcHealthCheck":
      return grpcChecker(healthChecker.value, context);
    case "customHealthCheck": {
      const { name, configType } = healthChecker.value;
      if (configType.case === "config") {
        context.report.error("HealthCheckUntyped", "customHealthCheck.config is a form that Envoy no longer reads", {
          path: `${path}.customHealthCheck.config`,
          hint: 'write typedConfig with the "@type" of the health checker',
        });
        return undefined;
      }
      const typedConfig = configType.case && customConfig(configType.value);
      if (!typedConfig) {
        context.report.error("HealthCheckUnknown", `Envoy has no health checker ${configType.case ? configType.value.typeUrl : name}`, {
          path: `${path}.customHealthCheck`,
          hint: `typedConfig with one of ${customCheckers.map(({ typeName }) => `type.googleapis.com/${typeName}`).join(", ")}`,
        });
        return undefined;
      }
      return { case: "customHealthCheck", value: { name, configType: { case: "typedConfig", value: typedConfig } } };
    }
    default:
      return undefined;
  }
}

/** The health checkers of a stock Envoy besides those that have fields of their own. */
const customCheckers = [RedisSchema, ThriftSchema] as const;

/** Packed anew, so that Envoy's rules about what is in it are checked. */
function customConfig(config: Any): Any | undefined {
  for (const schema of customCheckers) {
    if (config.typeUrl === `type.googleapis.com/${schema.typeName}`) return packAny(schema, fromBinary(schema, config.value));
  }
  return undefined;
}

function httpChecker(check: HealthCheck_HttpHealthCheck, path: string, context: Context): Checker | undefined {
  if (check.responseAssertions) {
    context.report.error(
      "HostHealthCheckUnsupported",
      "Could not load configuration for the following Enterprise features: [advanced_http]",
      { path: `${path}.responseAssertions`, hint: "Envoy judges responses by status only: use expectedStatuses" },
    );
    return undefined;
  }
  const range = check.expectedStatuses.find(({ start, end }) => start < 100n || end > 600n || start >= end);
  if (range) {
    context.report.error("HealthCheckStatuses", `${range.start} to ${range.end} is no range of HTTP statuses`, {
      path: `${path}.expectedStatuses`,
      hint: "start is at least 100, end at most 600 and not included: {start: 200, end: 300} is every 2xx",
    });
    return undefined;
  }
  for (const name of check.requestHeadersToRemove) {
    const fault = headerNameFault(name);
    if (fault) context.report.error("HeaderRefused", fault.message, { path: `${path}.requestHeadersToRemove`, hint: fault.hint });
  }
  return {
    case: "httpHealthCheck",
    value: {
      host: check.host,
      path: check.path,
      requestHeadersToAdd: headers(check.requestHeadersToAdd, `${path}.requestHeadersToAdd`, context),
      requestHeadersToRemove: check.requestHeadersToRemove,
      expectedStatuses: check.expectedStatuses.map(({ start, end }) => ({ start, end })),
      // The numbers of both enums are the same.
      method: check.method as number,
      ...(check.useHttp2 && { codecClientType: CodecClientType.HTTP2 }),
      ...(check.serviceName !== "" && { serviceNameMatcher: { matchPattern: { case: "prefix", value: check.serviceName } } }),
    },
  };
}

function grpcChecker({ serviceName, authority, initialMetadata }: HealthCheck_GrpcHealthCheck, context: Context): Checker {
  return {
    case: "grpcHealthCheck",
    value: { serviceName, authority, initialMetadata: headers(initialMetadata, "grpcHealthCheck.initialMetadata", context) },
  };
}

type HeaderOptions = HealthCheck_HttpHealthCheck["requestHeadersToAdd"];

/** Headers as written; a reference to a secret stands for all headers in it. */
function headers(options: HeaderOptions, path: string, { world, report }: Context): MessageInitShape<typeof HeaderValueOptionSchema>[] {
  return options.flatMap(({ headerOption, append }) => {
    if (headerOption.case === "header") {
      const { key, value } = headerOption.value;
      const fault = addedHeaderFault(key, value);
      if (fault) report.error("HeaderRefused", `the header ${key}: ${fault.message}`, { path, hint: fault.hint });
      return [{ header: { key, value }, appendAction: actionOf(append) }];
    }
    if (headerOption.case !== "headerSecretRef") return [];
    const { namespace, name } = headerOption.value;
    const kind = world.get("Secret", { namespace, name })?.spec?.kind;
    if (kind?.case !== "header") {
      report.error("HeaderSecretNotFound", `list did not find secret ${namespace}.${name} with headers`, { path });
      return [];
    }
    return Object.entries(kind.value.headers)
      .sort(([a], [b]) => (a < b ? -1 : 1))
      .map(([key, value]) => {
        const fault = addedHeaderFault(key, value);
        // What is in a secret is nothing to show.
        if (fault)
          report.error("HeaderRefused", `the header ${key} of secret ${namespace}.${name} cannot be sent`, {
            path,
            hint: fault.hint,
            elsewhere: true,
          });
        return { header: { key, value }, appendAction: actionOf(append) };
      });
  });
}

const actionOf = (append: boolean | undefined) => (append === false ? Append.OVERWRITE_IF_EXISTS_OR_ADD : Append.APPEND_IF_EXISTS_OR_ADD);

function payloadOf({ payload }: HealthCheck_Payload) {
  return { payload: { case: "text" as const, value: payload.value ?? "" } };
}

function isHex({ payload }: HealthCheck_Payload, path: string, report: Report): boolean {
  const text = payload.value ?? "";
  if (/^([0-9a-fA-F]{2})+$/.test(text)) return true;
  report.error("HealthCheckPayload", `"${text}" is not hexadecimal: what is sent and expected is written as pairs of hex digits`, {
    path,
    hint: "PING is 50494e47",
  });
  return false;
}
