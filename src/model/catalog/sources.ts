// Codes HW6xxx. See ../catalog.ts.
import type { CatalogEntry } from "../catalog.ts";

export const sources = {
  ConsulNotConfigured: {
    code: "HW6001",
    title: "a Consul Upstream, and no Consul",
    help: "Upstreams of the type `consul` are looked up in the Consul that the Settings name. Discovery is on as soon as `serviceDiscovery` is there, also when it is empty:\n\n    kind: Settings\n    metadata: {name: default, namespace: gloo-system}\n    spec:\n      consul:\n        httpAddress: 127.0.0.1:8500\n        serviceDiscovery: {}\n\nWithout it nothing is served for the Upstream, and routes to it answer 503.",
  },
  ConsulServiceMissing: {
    code: "HW6002",
    title: "a Consul Upstream without a service",
    help: "`consul.serviceName` names a service of Consul's catalog, as `consul catalog services` prints it. There is no default.",
  },
  ConsulDataCenterNotAllowed: {
    code: "HW6003",
    title: "a data centre that the Settings do not allow",
    help: "`consul.serviceDiscovery.dataCenters` in the Settings lists the data centres whose instances may be used (empty: all). The Upstream names one that is not in it; its instances there get no request. Add it to the Settings or take it out of the Upstream.",
  },
  ConsulSettingsUnusable: {
    code: "HW6004",
    title: "Settings for Consul that cannot be used",
    help: "The address in `consul.httpAddress` is no address, or a file (`caFile`, `caPath`, `certFile`, `keyFile`) cannot be read. Consul is not asked until that is mended; what is in service stays.",
  },
  ConsulUnreachable: {
    code: "HW6005",
    title: "Consul does not answer",
    help: "Consul cannot be reached, has no leader, or answers nonsense. Endpoints and discovered Upstreams stay as they were when it last answered; proxies notice nothing. It is asked again at least every 3 seconds, and read anew when it is back. If it comes back with an empty catalog, as it does without its data folder, what was known is kept for a minute, in which agents register again what runs beside them.",
  },
  ConsulDenied: {
    code: "HW6006",
    title: "Consul refuses the token",
    help: 'Consul has ACLs, and the token in `consul.token` (or `CONSUL_HTTP_TOKEN`) is unknown or may not read. It needs to read services and nodes:\n\n    service_prefix "" { policy = "read" }\n    node_prefix "" { policy = "read" }\n\nUntil then endpoints and discovered Upstreams stay as they are.',
  },
  ConsulNameNotResolved: {
    code: "HW6007",
    title: "an instance with a name that cannot be resolved",
    help: "A service is registered in Consul with a host name as its address. Such names are resolved by the DNS server in `consul.dnsAddress` (default `127.0.0.1:8600`, Consul's own, which knows other names only if it has `recursors`), every `dnsPollingInterval`. The instance gets no request until its name resolves; if it did before, its last addresses are kept.",
  },
  ConsulRootCaMissing: {
    code: "HW6008",
    title: "TLS tagging without a root CA",
    help: "`consulDiscovery.useTlsTagging` makes Upstreams with TLS of services that carry the tag `tlsTagName`. They are verified with the Secret in `consulDiscovery.rootCa`, which is missing. Services with the tag are not discovered until it is there; all others are.",
  },
  KubernetesUnreachable: {
    code: "HW6010",
    title: "the Kubernetes API does not answer",
    help: "The API server cannot be reached, does not answer in time, or says that it cannot answer now. Everything that was read stays in service, and proxies notice nothing; it is asked again at least every 3 seconds, and what has changed meanwhile is read when it is back. After a start without an answer, what was in service before is served from `--state-dir`; without that, nothing is sent to proxies until the API answers, so that they keep what they have.",
  },
  KubernetesDenied: {
    code: "HW6011",
    title: "the Kubernetes API refuses a right",
    help: "The role of the account that Headworks runs as lacks a verb on a kind, or its token is not accepted. The message has the API's own words. What was read before stays in service. Give it the right (`kubectl auth can-i list upstreams.gloo.solo.io --as=…` shows whether it has it); it is noticed by itself, within seconds. The chart's ClusterRole, or one Role in each of `--watch-namespaces`, has all that is needed: get, list and watch.",
  },
  KubernetesKindMissing: {
    code: "HW6012",
    title: "a kind is no longer served by the cluster",
    help: "The definition (CRD) of a kind was removed from the cluster, and with it all objects of that kind. That is rarely meant, so what was in service stays there until the definition is back and says what there is. If it is meant, delete the objects before the definition, or restart Headworks without its `--state-dir`.",
  },
  KubernetesDeletionHeld: {
    code: "HW6013",
    title: "a mass deletion is being checked",
    help: "Most objects of a kind are missing after an outage of the Kubernetes API, or were deleted within a moment. They stay in service until a second look, at least 5 seconds later (a minute after the kind itself was missing), finds the same.",
  },
  KubernetesWithoutDefinitions: {
    code: "HW6014",
    title: "a cluster without our kinds",
    help: "The cluster has none of the definitions (CRDs) of gloo.solo.io and gateway.solo.io, so there is nothing to serve. Install them with the chart, or apply `deploy/crds`; they are noticed by themselves.",
  },
  KubernetesObjectFault: {
    code: "HW6015",
    title: "an object that Headworks fails to read",
    help: "Reading this object ended in a fault of Headworks itself. Its last version that could be read stays in service, and everything else is untouched. Please report it, with the object.",
  },
  FunctionsUnreachable: {
    code: "HW6030",
    title: "a service that cannot be asked for its functions",
    help: "Discovery of functions asks the service behind an Upstream for its OpenAPI document (`/swagger.json` and the like) or by gRPC server reflection. It did not answer, or not within the limits: 5 seconds and 2 MiB for a document, 30 seconds and 8 MiB for reflection. Functions that are known stay; it is asked again, at growing intervals of up to ten minutes. The service itself is served as ever. To have it left alone, label the Upstream `discovery.solo.io/function_discovery: disabled`.",
  },
  FunctionsLeftOut: {
    code: "HW6031",
    title: "functions that cannot be offered",
    help: "A document may describe up to 1,000 functions, and AWS may list up to 10,000. Those beyond, and those whose path or name cannot be written as a template or in a route, are left out; the message names the first of them. Everything else is offered.",
  },
  FunctionAddressRefused: {
    code: "HW6032",
    title: "an address that discovery does not ask",
    help: "Discovery of functions asks no link-local address and no metadata service of a cloud, nothing on this machine unless the Upstream itself names it (`127.0.0.1`, `localhost`), and never Headworks itself (its admin API and xDS). Requests through the gateway are not affected. Describe the functions in `serviceSpec` where they are needed.",
  },
} as const satisfies Record<string, CatalogEntry>;
