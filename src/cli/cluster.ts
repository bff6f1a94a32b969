// Reaching a cluster from the command line: what the options mean, and what is said when there is none.
import { type KubeApi, kubeApi } from "../lib/kubernetes/api.ts";
import { ConnectionError } from "../lib/kubernetes/connection.ts";
import { customKinds } from "../plugin/config.ts";
import type { Plugins } from "../plugin/plugins.ts";
import type { Remembered, SourceHealth } from "../plugin/source.ts";
import type { Logger } from "../plugin/upstream-type.ts";
import { type KubernetesOptions, type KubernetesSource, kubernetesSource } from "../sources/kubernetes/kubernetes.ts";
import type { ClusterFlags, WatchFlags } from "./cluster-options.ts";
import { CommandError } from "./exit.ts";

/** Throws a CommandError where the options lead to no cluster. Whether it answers is seen when it is asked. */
export async function openCluster({ kubeconfig, context }: ClusterFlags): Promise<KubeApi> {
  try {
    return await kubeApi({ ...(kubeconfig !== undefined && { kubeconfig }), ...(context !== undefined && { context }) });
  } catch (error) {
    if (error instanceof ConnectionError) throw new CommandError(error.message);
    throw error;
  }
}

/** The namespace that Headworks itself is in. */
export function ownNamespace(api: KubeApi, { namespace }: WatchFlags): string {
  const { isInCluster, namespace: ofPod } = api.connection;
  return namespace ?? process.env.POD_NAMESPACE ?? (isInCluster ? ofPod : undefined) ?? "gloo-system";
}

/** The namespaces to watch; undefined: all. */
export function namespacesOf(api: KubeApi, flags: WatchFlags): readonly string[] | undefined {
  const { watchNamespaces = [] } = flags;
  if (watchNamespaces.length === 0 || watchNamespaces.includes("*")) return undefined;
  return [...new Set([ownNamespace(api, flags), ...watchNamespaces])];
}

export interface FollowedCluster {
  readonly plugins: Plugins;
  readonly remembered: readonly Remembered[];
  readonly log: Logger;
  readonly onObject?: KubernetesOptions["onObject"];
}

/** The source of a cluster that is followed. Until it has been read, what keeps it from that is in the log. */
export function clusterSource(api: KubeApi, flags: WatchFlags, followed: FollowedCluster): KubernetesSource {
  const namespaces = namespacesOf(api, flags);
  const { plugins, remembered, log, onObject } = followed;
  let told = "";
  const onHealth = ({ state, faults }: SourceHealth) => {
    const words = faults.join("; ");
    if (state !== "starting" || words === told) return;
    told = words;
    if (words === "") log.info({ cluster: api.connection.name }, "the cluster answers");
    else log.warn({}, `nothing is served yet: ${words}`);
  };
  return kubernetesSource({
    api,
    ...(namespaces && { namespaces }),
    remembered,
    customKinds: customKinds(plugins),
    onHealth,
    ...(onObject && { onObject }),
  });
}
