// Where a field of an Envoy listener comes from, so that what Envoy would refuse is said of the field that the user wrote.

/** Below the Gateway; the first pattern that fits counts, `$1` is what it captured. */
const inGateway: readonly (readonly [RegExp, string])[] = [
  [/^listenerFilters\[\d+\]\.typedConfig\.(rules\[\d+\](?:\.\w+)?)/, "options.proxyProtocol.$1"],
  [/^accessLog(\[\d+\])/, "options.listenerAccessLoggingService.accessLog$1"],
  [/^(socketOptions\[\d+\])/, "options.$1"],
];

const manager = "httpConnectionManagerSettings";

/** Below the options of the part of the Gateway that made the chain; what is behind the filters that all chains have. */
const inOptions: readonly (readonly [RegExp, string])[] = [
  [/^accessLog(\[\d+\])/, "^options.accessLoggingService.accessLog$1"],
  [/^earlyHeaderMutationExtensions/, `${manager}.earlyHeaderManipulation`],
  [/^(?:commonHttpProtocolOptions|httpProtocolOptions)\.(\w+)/, `${manager}.$1`],
  [/^http2ProtocolOptions/, `${manager}.http2ProtocolOptions`],
  [/^internalAddressConfig/, `${manager}.internalAddressConfig`],
  [/^upgradeConfigs/, `${manager}.upgrades`],
  [/^tracing/, `${manager}.tracing`],
  [/^httpFilters\[\d+\]\.typedConfig\.dnsCacheConfig/, "dynamicForwardProxy.dnsCacheConfig"],
  [/^httpFilters\[\d+\]\.typedConfig\.(?:httpService|withRequestBody|statusOnError)/, "extauth"],
  [/^httpFilters\[\d+\]\.typedConfig\.compressorLibrary/, "gzip"],
  [/^httpFilters\[\d+\]\.typedConfig\.additionalOrigins(\[\d+\])/, "csrf.additionalOrigins$1"],
  [/^httpFilters\[\d+\]\.typedConfig\.(?:filterEnabled|shadowEnabled)/, "csrf"],
  [/^httpFilters/, ""],
  [/^(?:tunnelingConfig|idleTimeout|maxConnectAttempts|accessLogFlushInterval)/, "tcpProxySettings"],
  [/^(\w+)/, `${manager}.$1`],
];

/** Undefined where it is not known: then it is the Gateway as a whole. `part`: the path of the part that made the chain. */
export function listenerOrigin(path: string, partOfChain: (index: number) => string | undefined): string | undefined {
  for (const [pattern, place] of inGateway) {
    const match = pattern.exec(path);
    if (match) return place.replace("$1", match[1] ?? "");
  }
  const [, index = "", below = ""] = /^filterChains\[(\d+)\]\.filters\[\d+\]\.typedConfig\.(.*)$/.exec(path) ?? [];
  const part = index === "" ? undefined : partOfChain(Number(index));
  if (part === undefined) return undefined;
  for (const [pattern, place] of inOptions) {
    const match = pattern.exec(below);
    if (!match) continue;
    const made = place.replace("$1", match[1] ?? "");
    return made.startsWith("^") ? made.slice(1) : made === "" ? `${part}.options` : `${part}.options.${made}`;
  }
  return part;
}
