// The honest answer of a type that the API has and that nobody has built yet: the Upstream says so, nothing is served for it.
import { defineUpstreamType, type UpstreamKind, type UpstreamType } from "../plugin/upstream-type.ts";

export function notServed<K extends UpstreamKind>(kind: K): UpstreamType<K> {
  return defineUpstreamType<K>({
    kind,
    cluster(_, { report }) {
      report.error("UpstreamTypeNotSupported", `Upstreams of the type ${kind} are not served by this version`, { path: kind });
      return undefined;
    },
  });
}
