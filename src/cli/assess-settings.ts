// What Gloo's Settings ask for that is nothing to Headworks, or something else. Pure.
import type { Ref } from "../model/ref.ts";

/** Something to know before moving, beside the findings about objects. */
export interface Note {
  /** What it is about: `Settings gloo-system/default gloo.xdsBindAddr`, `Deployment gloo-system/gloo`. */
  readonly subject: string;
  readonly what: string;
  readonly advice?: string;
  /** `blocks`: until something is done, part of the configuration does not work. */
  readonly weight: "blocks" | "differs" | "info";
  readonly isEnterprise?: true;
}

interface Field {
  readonly path: string;
  readonly what: string;
  readonly advice?: string;
  readonly weight: Note["weight"];
  readonly isEnterprise?: true;
  /** Only this value is worth a word. */
  readonly value?: unknown;
}

const enterpriseField = (path: string): Field => ({
  path,
  what: "belongs to Gloo's enterprise edition and has no effect",
  weight: "differs",
  isEnterprise: true,
});

const fields: readonly Field[] = [
  {
    path: "vaultSecretSource",
    what: "secrets are not read from Vault",
    advice: "have them copied into Kubernetes Secrets (external-secrets, the Vault operator)",
    weight: "blocks",
  },
  {
    path: "secretOptions",
    what: "of several sources of secrets, only Kubernetes (or the folder) is read",
    advice: "have the others copied into Kubernetes Secrets",
    weight: "blocks",
  },
  {
    path: "directoryConfigSource",
    what: "the folder is not named here",
    advice: "headworks run DIR names it",
    weight: "differs",
  },
  {
    path: "consulKvSource",
    what: "configuration is not read from Consul's key-value store",
    advice: "export it: each key holds an object as YAML, which a folder may hold as well",
    weight: "blocks",
  },
  {
    path: "consulKvArtifactSource",
    what: "Artifacts are not read from Consul's key-value store",
    advice: "make ConfigMaps of them",
    weight: "differs",
  },
  {
    path: "directorySecretSource",
    what: "secrets are read from where everything else is",
    advice: "put them into the folder of headworks run",
    weight: "differs",
  },
  {
    path: "directoryArtifactSource",
    what: "Artifacts are read from where everything else is",
    advice: "put them into the folder of headworks run",
    weight: "differs",
  },
  {
    path: "watchNamespaceSelectors",
    what: "namespaces are not chosen by labels",
    advice: "name them: watchNamespaces in Settings, --watch-namespaces, or watchNamespaces of the chart",
    weight: "differs",
  },
  {
    path: "gateway.enableGatewayController",
    value: false,
    what: "Gateways and VirtualServices are served all the same",
    advice: "delete those that are not meant",
    weight: "differs",
  },
  { path: "gateway.alwaysSortRouteTableRoutes", what: "routes keep the order in which they are written", weight: "differs" },
  { path: "knative", what: "Knative is not supported", weight: "blocks" },
  {
    path: "gloo.xdsBindAddr",
    what: "where xDS is served is said on the command line",
    advice: "run --xds; off loopback it wants certificates",
    weight: "info",
  },
  { path: "gloo.restXdsBindAddr", what: "xDS is served over gRPC only", weight: "info" },
  { path: "gloo.enableRestEds", what: "endpoints come over gRPC, as everything", weight: "info" },
  {
    path: "gloo.validationBindAddr",
    what: "there is no validation server of its own",
    advice: "headworks check, and the webhook",
    weight: "info",
  },
  { path: "gloo.proxyDebugBindAddr", what: "there is no debug server of its own", advice: "the admin API on 9091 has it", weight: "info" },
  {
    path: "gloo.endpointsWarmingTimeout",
    what: "nothing waits: endpoints of an Upstream are served when they are known, and kept",
    weight: "info",
  },
  { path: "gloo.disableProxyGarbageCollection", what: "Proxies are computed and stored nowhere", weight: "info" },
  { path: "gateway.compressedProxySpec", what: "Proxies are computed and stored nowhere", weight: "info" },
  { path: "gateway.persistProxySpec", what: "Proxies are computed and stored nowhere", advice: "headworks get proxies", weight: "info" },
  { path: "gateway.validation.fullEnvoyValidation", what: "what Envoy would refuse is always found before it is sent", weight: "info" },
  { path: "gateway.validation.disableTransformationValidation", what: "transformations are always validated", weight: "info" },
  {
    path: "gateway.validation.warnMissingTlsSecret",
    what: "a secret that is not there yet costs its own filter chain only",
    weight: "info",
  },
  { path: "gateway.validation.warnRouteShortCircuiting", what: "routes that are never reached are always warned of", weight: "info" },
  { path: "devMode", what: "has no effect", advice: "the admin API has what it showed", weight: "info" },
  { path: "observabilityOptions.grafanaIntegration", what: "dashboards are not generated", weight: "differs", isEnterprise: true },
  { path: "observabilityOptions.configStatusMetricLabels", what: "metrics of statuses have a fixed set of labels", weight: "differs" },
  { path: "gloo.enableAutoWebsocketTransformationPassthrough", what: "has no effect", weight: "differs" },
  { path: "gloo.awsOptions.credentialRefreshDelay", what: "credentials are read anew by themselves", weight: "info" },
  { path: "discovery.fdsOptions", what: "GraphQL is not discovered", weight: "differs", isEnterprise: true },
  { path: "ipV4Only", what: "listeners bind the address that their Gateway says", advice: "write bindAddress: 0.0.0.0", weight: "differs" },
  { path: "refreshRate", what: "changes are noticed as they happen; only EC2 is asked at this rate", weight: "info" },
  ...["namedExtauth", "cachingServer", "consoleOptions", "ratelimit"].map(enterpriseField),
];

/** For the test that they are there. */
export const knownPaths: readonly string[] = fields.map(({ path }) => path);

/** `spec`: in proto-JSON. */
export function notesOnSettings({ namespace, name }: Ref, spec: unknown): Note[] {
  return fields.flatMap(({ path, value, ...field }) => {
    const written = path.split(".").reduce<unknown>((holder, key) => (holder as Record<string, unknown> | undefined)?.[key], spec);
    const isMeant = value === undefined ? written !== undefined && written !== false && !isEmptyList(written) : written === value;
    return isMeant ? [{ subject: `Settings ${namespace}/${name} ${path}`, ...field }] : [];
  });
}

function isEmptyList(value: unknown): boolean {
  return Array.isArray(value) && value.length === 0;
}
