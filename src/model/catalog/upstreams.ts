// Codes HW3xxx. See ../catalog.ts.
import type { CatalogEntry } from "../catalog.ts";

export const upstreams = {
  UpstreamTypeMissing: {
    code: "HW3001",
    title: "an Upstream without a type",
    help: "An Upstream says where requests go by exactly one of the fields `static`, `kube`, `consul`, `pipe`, `aws`, `awsEc2`, `azure`, `gcp` or `ai`. Without one there is nothing to dial, so nothing is served for it.\n\n    spec:\n      static:\n        hosts:\n        - {addr: 10.0.0.5, port: 8080}",
  },
  UpstreamTypeNotSupported: {
    code: "HW3002",
    title: "an Upstream type that this version does not serve",
    help: "The field is part of the API and was read, but this version has no plug-in that can reach such a destination. Nothing is served for this Upstream; routes to it answer 503, everything else is untouched. `headworks types` lists what is there; a type of your own can be added in headworks.config.ts.",
  },
  StaticHostsMissing: {
    code: "HW3010",
    title: "a static Upstream without hosts",
    help: "`static.hosts` is empty, so there is no address to send requests to. Name at least one:\n\n    static:\n      hosts:\n      - {addr: 10.0.0.5, port: 8080}",
  },
  StaticHostIncomplete: {
    code: "HW3011",
    title: "a host without address or port",
    help: "Each of `static.hosts` needs `addr` (an IP address or a host name) and `port`. There is no default port; port 443 turns TLS on unless `useTls: false` is written.",
  },
  PortOutOfRange: {
    code: "HW3012",
    title: "a port that is none",
    help: "Ports are 1 to 65535. Envoy would refuse the cluster, so it is not sent.",
  },
  ReservedMetadata: {
    code: "HW3013",
    title: "metadata that the gateway sets itself",
    help: "`envoy.transport_socket_match` and `io.solo.health_checkers.advanced_http` are how the gateway tells Envoy about SNI and health checks of a host. What the Upstream says there is left out; its other metadata is kept.",
  },
  HostHealthCheckUnsupported: {
    code: "HW3014",
    title: "a health check path of one host",
    help: "`healthCheckConfig.path` and `.method` of a single host need a health checker that is not part of Envoy (it was an enterprise feature of Gloo). Write path and method in `healthChecks`, where they count for all hosts, or split the hosts into several Upstreams and weigh them in the route.",
  },
  PipePathMissing: {
    code: "HW3020",
    title: "a pipe Upstream without a path",
    help: "`pipe.path` is the Unix socket to dial, on the machine of the proxy: `/run/app.sock`, or `@name` in the abstract namespace of Linux.",
  },
  EnvoyConstraint: {
    code: "HW3030",
    title: "a value that Envoy would refuse",
    help: "Envoy has rules for the values in its configuration (a port below 65536, a duration that is not negative, a ring of at most 8388608 entries). One value breaks one of them. Envoy would refuse it, and often everything that was sent along with it, so it is left out here; the message names the field and the rule.",
  },
} as const satisfies Record<string, CatalogEntry>;
