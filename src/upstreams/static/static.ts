// Upstreams of the type `static`: addresses written in the Upstream itself. What Envoy needs to know is decided in cluster.ts;
// there is nothing to look up and nothing to watch, name resolution is Envoy's.
import { defineUpstreamType } from "../../plugin/upstream-type.ts";
import { staticCluster, staticTls } from "./cluster.ts";

export const staticHosts = defineUpstreamType({
  kind: "static",
  cluster: staticCluster,
  tls: staticTls,
});
