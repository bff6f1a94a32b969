// Codes HW4xxx. See ../catalog.ts.
import type { CatalogEntry } from "../catalog.ts";

export const xds = {
  RefusedByEnvoy: {
    code: "HW4001",
    title: "Envoy refused it",
    help: "Headworks found nothing wrong with this resource, but an Envoy refused (NACK) what it was translated to; the message is Envoy's own, with anything that looks like a key blanked. The version is not sent again. The last good version of the resource stays in service, other resources are not touched. Correct the resource; the next version is sent as usual. If the message makes no sense to you, please report it with the resource: Headworks should have said it first.",
  },
  EndpointsUnknown: {
    code: "HW4002",
    title: "endpoints not known yet",
    help: "The addresses behind this Upstream are looked up (by discovery, Consul, Kubernetes, …) and no answer has come yet. Its cluster is not sent to Envoy before that: Envoy would wait for the addresses, and with it every other change of clusters. If Envoy has the cluster from earlier, it keeps it with the addresses it knows. Look for a finding about the source of the addresses.",
  },
  UnknownRole: {
    code: "HW4003",
    title: "no proxy for this Envoy",
    help: "An Envoy connected whose `node.metadata.role` names no proxy. The role is `namespace~name` of the proxy, for the default gateway `gloo-system~gateway-proxy`. Until the role is known, that Envoy answers every request on port 8080 with 500 and this code. Correct `node.metadata.role` in Envoy's bootstrap, or create the Gateway that makes the proxy; a proxy that appears is served at once.",
  },
} as const satisfies Record<string, CatalogEntry>;
