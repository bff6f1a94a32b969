// `connectionLimit` of an HTTP or TCP listener: how many connections are served at once.
import { packAny } from "../envoy/encode.ts";
import { ConnectionLimitSchema } from "../gen/envoy/envoy/extensions/filters/network/connection_limit/v3/connection_limit_pb.js";
import type { Feature } from "../plugin/feature.ts";

/** Gloo names the filter by its type. */
const name = "envoy.extensions.filters.network.connection_limit.v3.ConnectionLimit";

export const connectionLimit: Feature = {
  name: "connectionLimit",
  glooName: "connection_limit",
  fields: { http: ["connectionLimit"], tcp: ["connectionLimit"] },
  networkFilters({ http, tcp }, { refuse }) {
    const limit = tcp ? tcp.connectionLimit : http?.connectionLimit;
    if (limit?.maxActiveConnections === undefined) return [];
    if (limit.maxActiveConnections < 1) {
      const message = `MaxActiveConnections must be greater than or equal to 1. Current value : ${limit.maxActiveConnections}`;
      refuse("connectionLimit.maxActiveConnections", message);
      return [];
    }
    const value = packAny(ConnectionLimitSchema, {
      statPrefix: "connection_limit",
      maxConnections: BigInt(limit.maxActiveConnections),
      ...(limit.delayBeforeClose && { delay: limit.delayBeforeClose }),
    });
    return [{ name, configType: { case: "typedConfig", value } }];
  },
};
