// The options of commands that talk to a cluster, named as kubectl's and glooctl's. Loads nothing of Kubernetes.
import { type Command, Option } from "commander";
import { commaList } from "./command.ts";

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
    .addOption(watchNamespaces());
}

export function watchNamespaces(what = "watch only these"): Option {
  return new Option("--watch-namespaces <names>", `${what}, separated by commas (default: all)`)
    .env("HEADWORKS_WATCH_NAMESPACES")
    .argParser((value: string) => commaList(value));
}

export interface WebhookFlags {
  readonly webhook?: string;
  readonly webhookService?: string;
  readonly webhookSecret?: string;
  readonly webhookConfiguration?: string;
}

/** For who also says what may be applied. */
export function withWebhook(target: Command): Command {
  return target
    .addOption(
      new Option("--webhook <address>", "serve the admission webhook there, host:port or :port (default: not at all)").env(
        "HEADWORKS_WEBHOOK",
      ),
    )
    .addOption(
      new Option("--webhook-service <name>", "the Service in front of it, for its certificate")
        .default("headworks")
        .env("HEADWORKS_WEBHOOK_SERVICE"),
    )
    .addOption(
      new Option("--webhook-secret <name>", "where its certificate is kept; made where it is not there")
        .default("headworks-webhook")
        .env("HEADWORKS_WEBHOOK_SECRET"),
    )
    .addOption(
      new Option("--webhook-configuration <name>", "the ValidatingWebhookConfiguration that is to trust it (default: none)").env(
        "HEADWORKS_WEBHOOK_CONFIGURATION",
      ),
    );
}
