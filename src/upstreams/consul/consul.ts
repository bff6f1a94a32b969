// Upstreams of the type `consul`: a service in the catalog of a Consul, its instances followed as they come and go.
import { defineUpstreamType } from "../../plugin/upstream-type.ts";
import { consulCluster } from "./cluster.ts";
import { discoverConsulServices } from "./discover.ts";
import { consulEndpoints } from "./endpoints.ts";

export const consul = defineUpstreamType({
  kind: "consul",
  cluster: consulCluster,
  endpoints: consulEndpoints,
  discover: discoverConsulServices,
});
