// Codes HW2xxx. See ../catalog.ts.
import type { CatalogEntry } from "../catalog.ts";

export const routing = {
  VirtualHostMissing: {
    code: "HW2001",
    title: "a VirtualService without virtualHost",
    help: "A VirtualService says what is served in `virtualHost`: the domains and their routes. Without it there is nothing to serve.\n\n    spec:\n      virtualHost:\n        domains: [shop.example.com]\n        routes: []",
  },
  DomainEmpty: {
    code: "HW2002",
    title: "an empty domain",
    help: 'A domain is a host name, `*.suffix`, `prefix.*` or `*`. An empty one matches nothing and Envoy refuses it. Leave `domains` out to serve every host (`"*"`).',
  },
  DomainConflict: {
    code: "HW2003",
    title: "two claims to one domain",
    help: "Within one Gateway each domain belongs to one VirtualService. Two that claim the same name are both marked Rejected; the one that had it first (by creation time, then by namespace and name) keeps serving it, the other is served under its remaining domains only. Put the routes of one host into one VirtualService, or share them with RouteTables.",
  },
  DomainUnusable: {
    code: "HW2004",
    title: "a domain that Envoy refuses or can never match",
    help: "A wildcard stands alone (`*`), in front (`*.example.com`) or behind (`example.*`). Anywhere else Envoy takes it literally. A domain holds no scheme, path, line break or NUL.",
  },
  ActionMissing: {
    code: "HW2010",
    title: "a route without action",
    help: "A route says what happens by one of `routeAction`, `redirectAction`, `directResponseAction` or `delegateAction`.",
  },
  DelegateMatcherInvalid: {
    code: "HW2011",
    title: "a delegating route with an unusable matcher",
    help: "A route with `delegateAction` has no matcher (that means the prefix `/`) or exactly one, and that one has a `prefix`: the routes of the RouteTable lie below it.",
  },
  DelegateTargetUnknown: {
    code: "HW2012",
    title: "a delegation without target",
    help: "`delegateAction` names a RouteTable by `ref`, or picks several by `selector`. Nothing answers below that prefix until such a table exists; everything else is served.",
  },
  DelegateSelectorInvalid: {
    code: "HW2013",
    title: "a selector that cannot be used",
    help: "A selector has either `labels` or `expressions`. `In` and `NotIn` need values, `Exists` and `DoesNotExist` none, `GreaterThan` and `LessThan` one integer, the others exactly one value.",
  },
  DelegationCycle: {
    code: "HW2014",
    title: "RouteTables that delegate in a circle",
    help: "The tables named in the message delegate to each other, so their routes have no end. The route that closes the circle is left out.",
  },
  DelegationTooLarge: {
    code: "HW2015",
    title: "a delegation without bounds",
    help: "Delegation is followed 100 tables deep, to 10,000 tables and to 100,000 routes in one VirtualService. What is beyond is left out: a selector that matches more than was meant is the usual cause.",
  },
  ChildMatcherIncompatible: {
    code: "HW2016",
    title: "a delegated route outside its parent",
    help: "A route of a RouteTable must lie within the matcher of the route that delegates to it: its path begins with the parent's prefix, `caseSensitive` is the same, and it has the parent's headers, query parameters and methods. `inheritableMatchers: true` on the parent adds the latter by itself. The route is left out; its siblings are served.",
  },
  SubTableProblem: {
    code: "HW2017",
    title: "a problem in a RouteTable of this VirtualService",
    help: "The RouteTable that is named has the problem; its own status and `check` say where.",
  },
  OptionsRefMissing: {
    code: "HW2018",
    title: "a reference to options that do not exist",
    help: "`optionsConfigRefs.delegateOptions` names a RouteOption or VirtualHostOption. The missing one adds nothing; the rest is served.",
  },
  RegexInvalid: {
    code: "HW2020",
    title: "a regular expression that is not RE2",
    help: "Envoy runs RE2, which has no look-around, no back-references and no repeat count over 1000; its compiled size is limited to 100 instructions by default. A route whose expression does not compile cannot be sent.",
  },
  MatcherInvalid: {
    code: "HW2021",
    title: "a matcher that cannot be used",
    help: "A matcher has one of `prefix`, `exact`, `regex` or `connectMatcher`; headers and query parameters narrow it. Leave `matchers` out to match every path.",
  },
  PathInvalid: {
    code: "HW2022",
    title: "a path with characters that no request has",
    help: "Paths hold the characters of RFC 3986, `%` only before two hex digits, no `//`, `/./`, `/../`, `%2f` or `#`, and do not end in `/.` or `/..`. The route is served as written but will probably not match.",
  },
  UpstreamNotFound: {
    code: "HW2030",
    title: "a destination that does not exist",
    help: "No Upstream, UpstreamGroup or Service has that name. Requests to the route get 503 (or what `invalidConfigPolicy` says) until there is one; everything else is served. Watch the namespace: it defaults to that of the object with the route.",
  },
  DestinationMissing: {
    code: "HW2031",
    title: "a route without destination",
    help: "`routeAction` needs one of `single`, `multi`, `upstreamGroup`, `clusterHeader` or `dynamicForwardProxy`, and a `single` destination one of `upstream`, `kube` or `consul`.",
  },
  WeightsInvalid: {
    code: "HW2032",
    title: "weights that sum to nothing",
    help: "The weights of a `multi` destination or UpstreamGroup must sum to at least 1. A destination without `weight` has 0.",
  },
  SubsetUnknown: {
    code: "HW2033",
    title: "a subset that the Upstream does not have",
    help: "`subset.values` picks endpoints by labels; the Upstream must declare the same keys in `subsetSpec.selectors`. Otherwise no endpoint is picked.",
  },
  ClusterHeaderInvalid: {
    code: "HW2034",
    title: "clusterHeader is no header name",
    help: "`clusterHeader` names the request header that holds the cluster's name: letters, digits and hyphens.",
  },
  RouteRefusedByEnvoy: {
    code: "HW2040",
    title: "a route that Envoy would refuse",
    help: "Envoy refuses a whole route configuration for one such value, with every route in it. So this route alone is taken out: it answers as `gloo.invalidConfigPolicy` of the Settings says (404 by default), or is left out where its matcher is the cause.",
  },
  OptionInvalid: {
    code: "HW2041",
    title: "an option with an unusable value",
    help: "The option is left out and everything else of the route is served; on a virtual host or Gateway, where an option may protect something, the whole is withheld.",
  },
  OptionNotSupported: {
    code: "HW2042",
    title: "an option that has no effect here",
    help: "The field is part of the API and was read, but this version does not act on it. Nothing else is affected. If it protects something, do not rely on it.",
  },
  EnterpriseOnly: {
    code: "HW2043",
    title: "an option of Gloo's enterprise edition",
    help: "Gloo's open source edition refuses this option, and so do we: it has no effect. The message names the feature.",
  },
  SecretNotFound: {
    code: "HW2044",
    title: "a secret that does not exist",
    help: "Nothing can be read from a secret that is not there. What needs it is left out until it exists; neighbours stay in service.",
  },
  TemplateInvalid: {
    code: "HW2045",
    title: "a transformation that cannot be used",
    help: "A template, regular expression or other part of a transformation is wrong. The message says what is wrong and, for a template, at which line and column of its text. A route is served without the transformation, or as it was last good; a virtual host is withheld, as its transformation may protect something. `headworks template test` tries templates out.",
  },
  GatewayTypeMissing: {
    code: "HW2050",
    title: "a Gateway without type",
    help: "A Gateway is one of `httpGateway`, `tcpGateway` or `hybridGateway`.",
  },
  GatewayRefMissing: {
    code: "HW2051",
    title: "a Gateway refers to a VirtualService that does not exist",
    help: "`httpGateway.virtualServices` names one that is not there. The others are served. Correct the name, or select by labels instead.",
  },
  GatewaySelectorInvalid: {
    code: "HW2052",
    title: "a Gateway's selector cannot be used",
    help: "The expression is not valid, so it selects nothing. `In` and `NotIn` need values, `Exists` and `DoesNotExist` none.",
  },
  GatewayDomainConflict: {
    code: "HW2053",
    title: "VirtualServices of a Gateway share domains",
    help: "The VirtualServices say which. The Gateway itself is in service: each domain answers with the routes of one of them.",
  },
  PortConflict: {
    code: "HW2054",
    title: "two Gateways on one port",
    help: "Gateways that feed the same proxy need different ports, also when their addresses differ. The first by creation time, then by name, keeps the port.",
  },
  BindAddressInvalid: {
    code: "HW2055",
    title: "a bind address that is none",
    help: "`bindAddress` is an IPv4 or IPv6 address: `::` for all of both, `0.0.0.0` for all IPv4, `127.0.0.1` for local only. `bindPort` is 1 to 65535.",
  },
  HybridEmpty: {
    code: "HW2056",
    title: "a hybrid Gateway with nothing in it",
    help: "None of the matched or delegated gateways exists or holds anything, so there is no listener.",
  },
  TlsInvalid: {
    code: "HW2057",
    title: "TLS that cannot be set up",
    help: "The certificate, its key or the parameters cannot be used. The filter chain that needs them is left out, the others of the listener are served.",
  },
  FilterChainConflict: {
    code: "HW2058",
    title: "two filter chains that match the same connections",
    help: "Envoy refuses a listener with two chains for the same server names. Give the VirtualServices different `sslConfig.sniDomains`, or the same certificate. The first chain is served.",
  },
  ListenerRefusedByEnvoy: {
    code: "HW2059",
    title: "a listener that Envoy would refuse",
    help: "Envoy takes a listener whole or not at all, so it is withheld. The message names the value.",
  },
  SniDomainUnusable: {
    code: "HW2060",
    title: "an SNI domain that Envoy would refuse",
    help: "A name in `sniDomains` is a host name, or one with a star for the first label: `*.example.com`. Envoy refuses a listener with any other star, and with it everybody's TLS. To take every name, leave `sniDomains` out.",
  },
  DestinationNil: {
    code: "HW2070",
    title: "an UpstreamGroup with an unusable destination",
    help: "Each destination of an UpstreamGroup names an Upstream, a Service or a Consul service that exists.",
  },
  NamespaceNotWatched: {
    code: "HW2071",
    title: "namespace not watched",
    help: "Settings list `watchNamespaces`, and the namespace of this resource is not one of them, so it is neither served nor given a status. Add the namespace to the list, or make the list empty to watch all.",
  },
  NotServed: {
    code: "HW2072",
    title: "a VirtualService that no Gateway serves",
    help: "A Gateway takes the VirtualServices that its selectors, namespaces or list name, or all; one with `ssl: true` takes only those with `sslConfig`, one without takes only those without. This VirtualService is taken by none, so no request reaches it. Without any Gateway in the configuration there is one on port 8080, without TLS. The status stays Accepted, as Gloo's does.\n\n    apiVersion: gateway.solo.io/v1\n    kind: Gateway\n    metadata: {name: gateway-proxy-ssl, namespace: gloo-system}\n    spec: {bindAddress: '::', bindPort: 8443, ssl: true, httpGateway: {}}",
  },
  GatewayNotRead: {
    code: "HW2073",
    title: "a Gateway in a namespace where none is read",
    help: "Gateways open ports, so they are read only in the namespace of the gateway (`gloo-system`, or `discoveryNamespace` of Settings) unless Settings say `gateway.readGatewaysFromAllNamespaces: true`. An object without `metadata.namespace` is in `default`.",
  },
} as const satisfies Record<string, CatalogEntry>;
