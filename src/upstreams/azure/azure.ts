// Upstreams of the type `azure`: the functions of one Azure function app. Routes call them by name, with the key of each.
import { defineUpstreamType } from "../../plugin/upstream-type.ts";
import { azureCluster, azureHost } from "./cluster.ts";
import { azureRoute } from "./route.ts";

export const azure = defineUpstreamType({
  kind: "azure",
  cluster: azureCluster,
  tls: ({ spec }) => ({ isOn: true, sni: azureHost(spec) }),
  route: azureRoute,
});
