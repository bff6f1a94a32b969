// The options of commands that talk to a cluster, named as kubectl's and glooctl's. Loads nothing of Kubernetes.
import { type Command, Option } from "commander";

export interface ClusterFlags {
  readonly kubeconfig?: string;
  readonly context?: string;
}

export interface WatchFlags extends ClusterFlags {
  readonly namespace?: string;
  readonly watchNamespaces?: readonly string[];
}

export function withCluster(target: Command): Command {
  return target
    .addOption(
      new Option("--kubeconfig <file>", "how to reach the cluster (default: $KUBECONFIG, the Pod's own account, ~/.kube/config)").env(
        "HEADWORKS_KUBECONFIG",
      ),
    )
    .addOption(new Option("--context <name>", "which context of it").env("HEADWORKS_CONTEXT"));
}

/** For commands that follow a cluster. */
export function withWatch(target: Command): Command {
  return withCluster(target)
    .addOption(
      new Option("-n, --namespace <namespace>", "where Headworks itself is; always watched")
        .default("gloo-system")
        .env("HEADWORKS_NAMESPACE"),
    )
    .addOption(
      new Option("--watch-namespaces <names>", "watch only these, separated by commas (default: all)")
        .env("HEADWORKS_WATCH_NAMESPACES")
        .argParser((value: string) =>
          value
            .split(",")
            .map((each) => each.trim())
            .filter((each) => each !== ""),
        ),
    );
}
