// `tcpProxySettings` of a TCP listener: attempts, idle time, tunnelling through an HTTP proxy.
import type { Feature } from "../plugin/feature.ts";

export const tcpProxySettings: Feature = {
  name: "tcpProxySettings",
  glooName: "tcp",
  fields: { tcp: ["tcpProxySettings"] },
  tcpProxy(proxy, options, { refuse }) {
    const { maxConnectAttempts, idleTimeout, tunnelingConfig, accessLogFlushInterval: flush } = options?.tcpProxySettings ?? {};
    if (flush && flush.seconds === 0n && flush.nanos < 1_000_000)
      refuse("tcpProxySettings.accessLogFlushInterval", "access log flush interval must have minimum of 1ms");
    return {
      ...proxy,
      ...(maxConnectAttempts !== undefined && { maxConnectAttempts }),
      ...(idleTimeout && { idleTimeout }),
      ...(flush && { accessLogFlushInterval: flush }),
      ...(tunnelingConfig && {
        tunnelingConfig: {
          hostname: tunnelingConfig.hostname,
          headersToAdd: tunnelingConfig.headersToAdd.map(({ header, append }) => ({
            header: { key: header?.key ?? "", value: header?.value ?? "" },
            ...(append !== undefined && { append }),
          })),
        },
      }),
    };
  },
};
