// `stats.virtualClusters` of a virtual host: requests counted by path and method.
import { regexFault, regexMatcher } from "../envoy/regex.ts";
import type { Feature } from "../plugin/feature.ts";

const methods = ["CONNECT", "DELETE", "GET", "HEAD", "METHOD_UNSPECIFIED", "OPTIONS", "PATCH", "POST", "PUT", "TRACE"];

export const stats: Feature = {
  name: "stats",
  glooName: "stat",
  fields: { virtualHost: ["stats"] },
  virtualHost(host, options, { refuse, world }) {
    const programSize = world.settings.gloo?.regexMaxProgramSize;
    const virtualClusters = (options.stats?.virtualClusters ?? []).map(({ name, pattern, method }, i) => {
      const upper = method.toUpperCase();
      const fault =
        name === ""
          ? "name is required"
          : pattern === ""
            ? "pattern is required"
            : method !== "" && !methods.includes(upper)
              ? `invalid method name [${method}]. Allowed values: ${methods.join(",")}`
              : regexFault(pattern, programSize);
      if (fault) refuse(`stats.virtualClusters[${i}]`, `failed to process virtual cluster [${name}]: ${fault}`);
      return {
        // A dot would part the names of statistics.
        name: name.replaceAll(".", "_"),
        headers: [
          { name: ":path", headerMatchSpecifier: { case: "safeRegexMatch" as const, value: regexMatcher(pattern, programSize) } },
          ...(method === "" ? [] : [{ name: ":method", headerMatchSpecifier: { case: "exactMatch" as const, value: upper } }]),
        ],
      };
    });
    return { ...host, virtualClusters };
  },
};
