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
    help: "The field is part of the API and was read, but this version has no plug-in that can reach such a destination. Nothing is served for this Upstream; routes to it answer 503, everything else is untouched. A type of your own can be added in headworks.config.ts.",
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
    cure: "give each host addr and port, as in {addr: 10.0.0.1, port: 80}",
  },
  PortOutOfRange: {
    code: "HW3012",
    title: "a port that is none",
    help: "Ports are 1 to 65535. Envoy would refuse the cluster, so it is not sent.",
    cure: "use a port of 1 to 65535",
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
  KubeServiceNotFound: {
    code: "HW3021",
    title: "a Service that is not there",
    help: "`kube.serviceName` and `kube.serviceNamespace` name a Service of Kubernetes that does not exist, or is not in a watched namespace. Routes to this Upstream answer 503 until it is there.",
    cure: "correct serviceName and serviceNamespace; a folder knows only the Services that are in it, or use static with hosts",
  },
  KubePortNotFound: {
    code: "HW3022",
    title: "a port that the Service does not have",
    help: "`kube.servicePort` is the number in the Service's `spec.ports[].port` (not the target port of the pods). As it is, no address matches, and routes to this Upstream answer 503.",
  },
  KubeExternalName: {
    code: "HW3025",
    title: "a Service that is only a name elsewhere",
    help: "A Service of type `ExternalName` has no pods and so no addresses: it is an entry in the cluster's DNS. Requests are not sent wherever such an entry points, because whoever may write Services could lead them anywhere. Write an Upstream that says so itself:\n\n    spec:\n      static:\n        hosts:\n        - {addr: api.example.com, port: 443}",
  },
  ServiceAnnotation: {
    code: "HW3024",
    title: "an annotation of a Service that cannot be read",
    help: '`gloo.solo.io/upstream_config` holds part of an Upstream\'s `spec` as JSON: `{"connectionConfig": {"connectTimeout": "7s"}}`. What is there is no JSON, or no part of an Upstream, so the Service\'s Upstreams are as if it were not there.',
  },
  EnvoyConstraint: {
    code: "HW3030",
    title: "a value that Envoy would refuse",
    help: "Envoy has rules for the values in its configuration (a port below 65536, a duration that is not negative, a ring of at most 8388608 entries). One value breaks one of them. Envoy would refuse it, and often everything that was sent along with it, so it is left out here; the message names the field and the rule.",
    cure: "correct the value, or leave it out for the default",
  },
  OutlierIntervalMissing: {
    code: "HW3040",
    title: "outlier detection without an interval",
    help: "`outlierDetection.interval` says how often hosts are judged. Gloo has no default for it and leaves the cluster out; so do we: `interval: 10s` is a good start.",
  },
  DnsRefreshRateTooSmall: {
    code: "HW3041",
    title: "a DNS refresh rate below a millisecond",
    help: "`dnsRefreshRate` is left out because Envoy takes at least `0.001s`; the default of 5 s is in force.",
  },
  DnsRefreshRateWithoutDns: {
    code: "HW3042",
    title: "a DNS refresh rate without DNS",
    help: "`dnsRefreshRate` only means something where a host is a name. This Upstream has IP addresses only, or gets its addresses from discovery. Remove the field.",
  },
  PreconnectRatioOutOfRange: {
    code: "HW3043",
    title: "a preconnect ratio out of range",
    help: "Ratios of `preconnectPolicy` are between 1 (no connection ahead of need) and 3.",
  },
  RingSizes: {
    code: "HW3044",
    title: "sizes that no ring can have",
    help: "`ringHashConfig.minimumRingSize` (1024 where it is not given) may not be above `maximumRingSize`, and neither above 8388608. Envoy would refuse the cluster.",
  },
  Http2Value: {
    code: "HW3045",
    title: "an HTTP/2 value out of range",
    help: "Windows are 65535 to 2147483647 bytes, `maxConcurrentStreams` 1 to 2147483647.",
  },
  Http1AndHttp2: {
    code: "HW3046",
    title: "HTTP/1 options on an HTTP/2 Upstream",
    help: "With `useHttp2: true` every connection is HTTP/2, so `http1ProtocolOptions` could never count. Remove one of them, or set `protocolSelection: USE_DOWNSTREAM_PROTOCOL`, which speaks what the client speaks.",
  },
  ProxyProtocolVersion: {
    code: "HW3047",
    title: "an unknown PROXY protocol version",
    help: "`proxyProtocolVersion` is `V1` (text) or `V2` (binary).",
  },
  FailoverUnsupported: {
    code: "HW3048",
    title: "a part of failover that Envoy has no place for",
    help: "The Upstream is served, and fails over, without the part that is named. Beside a Unix socket (`pipe`) Envoy looks up no names: give IP addresses. Envoy knows each address of a cluster once. Where `httpProxyHostname` makes the endpoints HTTP proxies, `httpConnectSslConfig` is the TLS towards all of them.",
  },
  HealthCheckIncomplete: {
    code: "HW3050",
    title: "a health check that lacks a field",
    help: "Each of `healthChecks` needs `timeout`, `interval`, `healthyThreshold`, `unhealthyThreshold` and one checker. As with Gloo the cluster is left out until they are there:\n\n    healthChecks:\n    - timeout: 2s\n      interval: 10s\n      healthyThreshold: 2\n      unhealthyThreshold: 3\n      httpHealthCheck: {path: /healthz}",
  },
  HealthCheckPayload: {
    code: "HW3051",
    title: "a payload that is not hexadecimal",
    help: "`tcpHealthCheck.send.text` and `receive[].text` are bytes, written as pairs of hex digits: `50494e47` is PING. Envoy would refuse anything else.",
  },
  HealthCheckUntyped: {
    code: "HW3052",
    title: "a health checker in an old form",
    help: "`customHealthCheck.config` is not read by Envoy any more. Write `typedConfig` with an `@type`.",
  },
  HeaderSecretNotFound: {
    code: "HW3053",
    title: "a secret with headers that is not there",
    help: "`headerSecretRef` must name a Secret whose keys are header names. The Secret does not exist, is not in a watched namespace, or is of another kind.",
  },
  TlsSecretNotFound: {
    code: "HW3060",
    title: "a TLS secret that is not there",
    help: "`secretRef` names a Secret that does not exist, or not in a watched namespace. Without its certificate nothing is sent in the clear instead: what needs the secret is left out until it is there.",
    cure: "create the Secret, or correct the name and the namespace; it heals by itself when the Secret comes",
  },
  TlsSecretOfOtherKind: {
    code: "HW3061",
    title: "a secret of another kind",
    help: "`secretRef` must name a TLS secret: a Kubernetes Secret of type `kubernetes.io/tls`, or a Secret with `tls: {certChain, privateKey, rootCa}`.",
  },
  TlsSecretInvalid: {
    code: "HW3062",
    title: "a TLS secret that cannot be used",
    help: "The certificate or key cannot be read, or they do not belong together. `openssl x509 -in tls.crt -noout -pubkey` and `openssl pkey -in tls.key -pubout` must print the same.",
    cure: "put PEM into tls.crt and tls.key, and the key of that certificate",
  },
  SecretDeleted: {
    code: "HW3092",
    title: "a TLS Secret that is gone and still in use",
    help: "A TLS Secret was deleted while something refers to it. What it last held stays in service, so that no connection is lost; a new start will not know it any more.",
    cure: "write the Secret again, or remove what refers to it",
  },
  TlsCertificateMissing: {
    code: "HW3063",
    title: "TLS without a certificate",
    help: "The settings name no certificate. Give `secretRef`, `sslFiles` with `tlsCert` and `tlsKey`, or `sds`.",
    cure: "name one: secretRef, sslFiles or sds",
  },
  TlsKeyPairIncomplete: {
    code: "HW3064",
    title: "a certificate without key, or a key without certificate",
    help: "`tlsCert` and `tlsKey` go together: give both, or neither and only `rootCa`.",
    cure: "name both files: tlsCert and tlsKey",
  },
  TlsRootCaMissing: {
    code: "HW3065",
    title: "names to verify, but nobody to trust",
    help: "`verifySubjectAltName` only means something when the certificate is verified, which needs `rootCa` (`ca.crt` in a Kubernetes secret).",
  },
  TlsVersionUnknown: {
    code: "HW3066",
    title: "an unknown TLS version",
    help: "`minimumProtocolVersion` and `maximumProtocolVersion` are `TLSv1_0`, `TLSv1_1`, `TLSv1_2`, `TLSv1_3` or `TLS_AUTO`.",
  },
  TlsCipherUnknown: {
    code: "HW3067",
    title: "a cipher suite or curve that Envoy does not know",
    help: "Envoy takes the names of BoringSSL (`ECDHE-RSA-AES128-GCM-SHA256`, `X25519`) and refuses the whole cluster or listener for one that it does not know. The suites of TLS 1.3 are fixed and cannot be listed.",
  },
  SdsNamesMissing: {
    code: "HW3068",
    title: "SDS without the name of a secret",
    help: "`sds` needs `certificatesSecretName` or `validationContextName`; the latter where `verifySubjectAltName` is set.",
  },
  StaticHostNotAName: {
    code: "HW3015",
    title: "an address that is no address",
    help: "`static.hosts[].addr` is a host name or an IP address alone. A scheme (`https://`), a path or a port in it is looked up in DNS as it stands, and never found. TLS is `useTls: true` or port 443; the port has its own field.",
  },
  WeightsTooLarge: {
    code: "HW3016",
    title: "weights that do not fit",
    help: "The weights of the hosts of an Upstream may together be at most 4294967295. Only their proportions count: 3 and 1 do the same as 3000000000 and 1000000000.",
  },
  PipePathTooLong: {
    code: "HW3023",
    title: "a socket path that is too long",
    help: "Linux takes 107 bytes for the path of a Unix socket. Put the socket into a folder with a shorter name.",
  },
  HealthCheckUnknown: {
    code: "HW3054",
    title: "a health checker that Envoy does not have",
    help: "`customHealthCheck` needs a `typedConfig` with the `@type` of a health checker that a stock Envoy has: Redis or Thrift. Anything else is refused by Envoy with all that travels along.",
  },
  HealthCheckStatuses: {
    code: "HW3055",
    title: "a range of statuses that is none",
    help: "`expectedStatuses` are half-open ranges of HTTP statuses: `start` at least 100, `end` at most 600, and above `start`. `{start: 200, end: 300}` is every 2xx.",
  },
  GrpcHealthCheckWithoutHttp2: {
    code: "HW3056",
    title: "a gRPC health check without HTTP/2",
    help: "gRPC is spoken over HTTP/2, and Envoy refuses a cluster that checks health by gRPC and does not speak it. Add `useHttp2: true` to the Upstream.",
  },
  TlsAlpn: {
    code: "HW3069",
    title: "an ALPN protocol that is none",
    help: "The names in `alpnProtocols` are short words of 1 to 255 bytes: `h2`, `http/1.1`. Envoy ends itself when it is given an empty one, so what has one is left out.",
  },
  HashByHostname: {
    code: "HW3049",
    title: "hashing by names that are not there",
    help: "`useHostnameForHashing` makes ring hash and Maglev place hosts by their names, which stay when addresses change. It counts for static Upstreams with host names; Envoy refuses it for all others, so it is left out and addresses are hashed.",
  },
  HttpConnectWithoutHostname: {
    code: "HW3057",
    title: "options of a tunnel without a destination",
    help: "`httpConnectHeaders` and `httpConnectSslConfig` belong to a tunnel through an HTTP proxy. The tunnel is there once `httpProxyHostname` names its destination, host and port: `httpProxyHostname: api.example.com:443`.",
  },
  HttpConnectHostname: {
    code: "HW3090",
    title: "a destination of a tunnel that Envoy cannot ask for",
    help: "`httpProxyHostname` is the host and port that the HTTP proxy is asked for: `api.example.com:443`. To Envoy it is a format, in which `%` begins a command: write `%%` for a percent sign.",
  },
  HeaderRefused: {
    code: "HW3091",
    title: "a header that Envoy cannot send",
    help: "Headers of health checks and of tunnels are formats to Envoy: `%START_TIME%` is a command, and `%%` a percent sign. A command that Envoy does not know, a line break, and the names `host` and `:path` and their like would make it refuse everything that is sent along, so the Upstream is left out.",
  },
  TcpKeepalive: {
    code: "HW3058",
    title: "a TCP keep-alive that no system can do",
    help: "Times of `tcpKeepalive` are whole seconds (rounded up) of at most 32767, probes at most 127. The operating system refuses more, at each connection.",
  },
  AwsRegion: {
    code: "HW3070",
    title: "an aws Upstream without a region",
    help: "`aws.region` and `awsEc2.region` are the code of a region, such as `eu-west-1`. It is part of the host name that is dialled and of the signature, so there is no default.",
  },
  AwsAccount: {
    code: "HW3071",
    title: "an AWS account that is none",
    help: "`aws.awsAccountId` is the account's 12 digits. Quote it in YAML: `\"012345678901\"` is text, without quotes it is a number that loses its zero. Without it functions of the credentials' own account are called.",
  },
  AwsRole: {
    code: "HW3072",
    title: "a role that is none",
    help: "`roleArn` is the whole ARN of a role of IAM: `arn:aws:iam::123456789012:role/name`. The credentials of the Secret or of the environment must be allowed to assume it (sts:AssumeRole).",
  },
  AwsCredentialsMissing: {
    code: "HW3073",
    title: "AWS without credentials",
    help: "Calls of AWS are signed. Either name a Secret with `secretRef` (keys `aws_access_key_id` and `aws_secret_access_key`, or `aws: {accessKey, secretKey, sessionToken}`), or say in the Settings that the environment of the proxy has credentials:\n\n    gloo:\n      awsOptions:\n        enableCredentialsDiscovey: true   # variables, files, web identity, container, instance",
  },
  CloudSecretNotFound: {
    code: "HW3074",
    title: "a secret of a cloud that is not there",
    help: "`secretRef` names a Secret that does not exist, or not in a watched namespace. Without its keys the calls would be refused, so the Upstream is left out until it is there.",
  },
  CloudSecretOfOtherKind: {
    code: "HW3075",
    title: "a secret of another kind",
    help: "AWS needs a Secret with the keys `aws_access_key_id` and `aws_secret_access_key` (or `aws: {\u2026}`), Azure one with `azure: {apiKeys: {name: key}}`.",
  },
  CloudSecretInvalid: {
    code: "HW3076",
    title: "keys that cannot be used",
    help: "An access key of AWS is a word of printable characters; the Secret's is empty, or has spaces or line breaks in it. A trailing line break is what `echo` adds: use `echo -n` or `printf %s` before encoding to Base64.",
  },
  LambdaFunctionName: {
    code: "HW3077",
    title: "a name that no Lambda function has",
    help: "`lambdaFunctionName` is the plain name of a function, letters, digits, `-` and `_`. Region and account are fields of the Upstream, a version or alias is `qualifier`.",
  },
  FunctionNotFound: {
    code: "HW3078",
    title: "a function that the Upstream does not have",
    help: "The route names a function that is not in the list of its Upstream. The route answers as `gloo.invalidConfigPolicy` says. Add the function to the Upstream (`lambdaFunctions`, `functions`), or let discovery of functions do it.",
  },
  FunctionMissing: {
    code: "HW3079",
    title: "a route to functions that names none",
    help: "What is behind the Upstream are functions, and the route does not say which one to call, so every request is answered with an error. Name it under `destinationSpec`, or set `gloo.awsOptions.fallbackToFirstFunction: true`.",
  },
  LambdaForm: {
    code: "HW3080",
    title: "a form of calls that cannot be had",
    help: "A response is either in the form of a load balancer (`unwrapAsAlb`) or of an API gateway (`unwrapAsApiGateway`). `wrapAsApiGateway` was an enterprise feature of Gloo; `requestTransformation` gives the function method, path, query, headers and body.",
  },
  AzureAppMissing: {
    code: "HW3081",
    title: "an Azure function app without a name",
    help: "`azure.functionAppName` is the first label of the app's host, `<name>.azurewebsites.net`: letters, digits and `-`.",
  },
  AzureKeyMissing: {
    code: "HW3082",
    title: "an Azure function without its key",
    help: "A function with `authLevel: Function` needs a key of its own name, or `_master`, in the Secret; one with `Admin` needs `_master`.",
  },
  FunctionUnreachable: {
    code: "HW3083",
    title: "a function that cannot be called from here",
    help: "Envoy cannot change the path for one of several weighted destinations. Make a route of its own for the function, or give each function an Upstream behind a RouteTable with different matchers.",
  },
  GcpIdentity: {
    code: "HW3084",
    title: "Google Cloud without identity tokens",
    help: "`gcp` was an enterprise feature of Gloo that added an identity token of the machine to each request. The service is reached over TLS under its own name, and the token is not added: services that allow unauthenticated calls work, others answer 403 unless clients send a token themselves.",
  },
  GcpHost: {
    code: "HW3085",
    title: "a Google Cloud Upstream without a host",
    help: "`gcp.host` is the host name of the service, without scheme and path: `app-xyz.a.run.app`.",
  },
  AiProvider: {
    code: "HW3086",
    title: "a provider of models that cannot be reached like this",
    help: "What a stock Envoy can do for language models is to send requests to one provider over TLS with the right token, path and host. What this Upstream asks for besides is named; translation between APIs, prompts, guards and caches belonged to Gloo's enterprise edition.",
  },
  AiTokenMissing: {
    code: "HW3087",
    title: "a provider of models without a token",
    help: "`authToken` is written with `inline`, or names a Secret whose header `Authorization` is the token, or says `passthrough: {}` to leave the client's own.",
  },
  Ec2Filter: {
    code: "HW3088",
    title: "a tag filter that says nothing",
    help: "Each of `awsEc2.filters` is `{key: name}` (the tag is there) or `{kvPair: {key: name, value: text}}` (it has this value).",
  },
  CloudUnreachable: {
    code: "HW3089",
    title: "a cloud that does not answer",
    help: "AWS was asked for instances or functions and did not answer, or refused. What was known before stays in service; it is asked again, at longer and longer intervals of up to five minutes. `AccessDenied` means that the credentials lack a permission: `ec2:DescribeInstances` for instances, `lambda:ListFunctions` for functions. To have functions left alone, list them in `aws.lambdaFunctions`, or label the Upstream `discovery.solo.io/function_discovery: disabled`.",
  },
  FailoverInvalid: {
    code: "HW3095",
    title: "failover that cannot be configured",
    help: "Each endpoint of `failover` needs an address (an IP address or a host name, without scheme and path) and a port; weights and the overprovisioning factor are at least 1. Envoy would refuse the endpoints, so the Upstream keeps its last good version:\n\n    failover:\n      prioritizedLocalities:\n      - localityEndpoints:\n        - lbEndpoints:\n          - {address: backup.example.com, port: 443, upstreamSslConfig: {}}",
  },
  FailoverIneffective: {
    code: "HW3096",
    title: "failover that will not act",
    help: "Envoy moves requests to the next place when it knows that endpoints are down: `healthChecks` ask them, `outlierDetection` learns it from requests that fail. `failover` needs one of the two, at least one endpoint, and `loadBalancerConfig.localityWeightedLbConfig` where localities are to be weighed.",
  },
  NameUnresolved: {
    code: "HW3097",
    title: "a host name without an address",
    help: "The control plane looks this name up, because Envoy does not where endpoints come from Kubernetes, Consul and the like. It has no address now; those it had stay in service. It is asked for again every `gloo.failoverUpstreamDnsPollingInterval` of the Settings (10 seconds).",
  },
} as const satisfies Record<string, CatalogEntry>;
