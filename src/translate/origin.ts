// Where a field of an Envoy route comes from, so that what Envoy would refuse is said of the field that the user wrote.

/** The first pattern that fits counts; `$1` is what it captured. */
const origins: readonly (readonly [inRoute: RegExp, inModel: string])[] = [
  [/^directResponse\.(status|body)/, "directResponseAction.$1"],
  [/^directResponse/, "directResponseAction"],
  [/^redirect\.(\w+)/, "redirectAction.$1"],
  [/^redirect/, "redirectAction"],
  [/^route\.(timeout|idleTimeout|maxStreamDuration)/, "options.$1"],
  [/^route\.retryPolicy/, "options.retries"],
  [/^route\.hashPolicy(\[\d+\])?/, "options.lbHash.hashPolicies$1"],
  [/^route\.(prefixRewrite|regexRewrite)/, "options.$1"],
  [/^route\.hostRewriteLiteral/, "options.hostRewrite"],
  [/^route\.(hostRewriteHeader|hostRewritePathRegex)/, "options.$1"],
  [/^route\.upgradeConfigs(\[\d+\])?/, "options.upgrades$1"],
  [/^route\.requestMirrorPolicies/, "options.shadowing"],
  [/^route\.rateLimits(\[\d+\])?/, "options.ratelimit.rateLimits$1"],
  [/^(?:request|response)Headers/, "options.headerManipulation"],
  [/^(?:tracing|decorator)/, "options.tracing"],
  [/^metadata/, "options.envoyMetadata"],
  [/^typedPerFilterConfig\.envoy\.filters\.http\.cors/, "options.cors"],
  [/^typedPerFilterConfig\.envoy\.filters\.http\.fault/, "options.faults"],
  [/^typedPerFilterConfig\.envoy\.filters\.http\.csrf/, "options.csrf"],
  [/^route\.weightedClusters/, "routeAction.multi"],
  [/^route/, "routeAction"],
];

/** Below the route: `options.timeout`; empty where it is not known. */
export function originOf(path: string): string {
  for (const [inRoute, inModel] of origins) {
    const match = inRoute.exec(path);
    if (match) return inModel.replace("$1", match[1] ?? "");
  }
  return "";
}
