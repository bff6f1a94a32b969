// Discovery of Upstreams from Services: one for each port, named and labelled as Gloo's discovery does. Pure: whether an Upstream is
// served from memory or also written to the cluster is for others to decide.
import { serviceUpstreamName } from "../../envoy/names.ts";
import { resourceKey } from "../../model/ref.ts";
import type { Resource, Spec } from "../../model/resource.ts";
import type { Annotations } from "./annotations.ts";
import { distinctPorts, upstreamOfService, versionOfUpstream } from "./service.ts";

/** What Settings say about it. */
export interface DiscoverySettings {
  readonly isOn: boolean;
  /** Where discovered Upstreams are. */
  readonly namespace: string;
  /** Only Services with all of these labels. */
  readonly watchLabels: Readonly<Record<string, string>>;
  /** Annotations for Services that do not have them. */
  readonly defaults: Annotations;
}

export const discoveredBy = { discovered_by: "kubernetesplugin" } as const;

export function discoverySettings({ discovery, discoveryNamespace, upstreamOptions }: Spec<"Settings">): DiscoverySettings {
  return {
    isOn: discovery?.udsOptions?.enabled !== false,
    namespace: discoveryNamespace || "gloo-system",
    watchLabels: { ...discovery?.udsOptions?.watchLabels },
    defaults: { ...upstreamOptions?.globalAnnotations },
  };
}

export function discoveredUpstreams(service: Resource<"Service">, settings: DiscoverySettings): Resource<"Upstream">[] {
  const { isOn, namespace, watchLabels, defaults } = settings;
  if (!isOn || Object.entries(watchLabels).some(([name, value]) => service.labels[name] !== value)) return [];
  return distinctPorts(service).map((port) => {
    const ref = { namespace, name: discoveredName(service.ref, port.port) };
    const { upstream, problems } = upstreamOfService(service, port, defaults);
    return {
      kind: "Upstream",
      key: resourceKey("Upstream", ref),
      ref,
      labels: discoveredBy,
      annotations: withoutKubectl(service.annotations),
      spec: upstream,
      version: versionOfUpstream(service, port, defaults),
      problems,
      origin: { source: "discovery" },
      ...(service.createdAt && { createdAt: service.createdAt }),
    };
  });
}

/** As Gloo names them. */
export const discoveredName = serviceUpstreamName;

/** What kubectl noted about the Service would mean another thing on the Upstream. */
function withoutKubectl({ "kubectl.kubernetes.io/last-applied-configuration": _, ...others }: Annotations): Annotations {
  return others;
}
