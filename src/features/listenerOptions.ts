// Options of the listener itself: limits, sockets, balance, statistics of TCP.
import { packAny } from "../envoy/encode.ts";
import { RawBufferSchema } from "../gen/envoy/envoy/extensions/transport_sockets/raw_buffer/v3/raw_buffer_pb.js";
import { ConfigSchema as TcpStatsSchema } from "../gen/envoy/envoy/extensions/transport_sockets/tcp_stats/v3/tcp_stats_pb.js";
import type { Feature, ListenerDraft } from "../plugin/feature.ts";

export const listenerOptions: Feature = {
  name: "listenerOptions",
  fields: { listener: ["perConnectionBufferLimitBytes", "socketOptions", "connectionBalanceConfig", "tcpStats"] },
  listener(listener, options, { refuse }) {
    if (options === undefined) return listener;
    const { perConnectionBufferLimitBytes, socketOptions, connectionBalanceConfig, tcpStats } = options;
    if (connectionBalanceConfig && connectionBalanceConfig.exactBalance === undefined)
      refuse("connectionBalanceConfig", "connection balancer does not specify balancer type", { hint: "exactBalance: {}" });
    return {
      ...listener,
      ...(perConnectionBufferLimitBytes && { perConnectionBufferLimitBytes }),
      ...(socketOptions.length > 0 && {
        socketOptions: socketOptions.map(({ description, level, name, value, state }) => ({
          description,
          level,
          name,
          value:
            value.case === "intValue"
              ? { case: "intValue" as const, value: value.value }
              : { case: "bufValue" as const, value: value.value ?? new Uint8Array() },
          state: state as number,
        })),
      }),
      ...(connectionBalanceConfig?.exactBalance && { connectionBalanceConfig: { balanceType: { case: "exactBalance", value: {} } } }),
      ...(tcpStats && { filterChains: withTcpStats(listener.filterChains) }),
    };
  },
};

function withTcpStats(chains: ListenerDraft["filterChains"]): NonNullable<ListenerDraft["filterChains"]> {
  const plain = {
    name: "envoy.transport_sockets.raw_buffer",
    configType: { case: "typedConfig" as const, value: packAny(RawBufferSchema, {}) },
  };
  return (chains ?? []).map((chain) => ({
    ...(chain as object),
    transportSocket: {
      name: "envoy.transport_sockets.tcp_stats",
      configType: { case: "typedConfig" as const, value: packAny(TcpStatsSchema, { transportSocket: chain.transportSocket ?? plain }) },
    },
  }));
}
