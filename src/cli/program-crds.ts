// The command about the CustomResourceDefinitions of the API, and those below it.
import type { Command } from "commander";
import { type ClusterFlags, withCluster } from "./cluster-options.ts";
import { command, examples } from "./command.ts";
import type { ApplyFlags } from "./crds-cluster.ts";

const kinds = ["[kind...]", "only of these: upstreams, virtualservices … or a short name: us, vs"] as const;

export function addDefinitions(root: Command): void {
  const print = command("crds", "print the CustomResourceDefinitions of the API, or bring a cluster's up to date")
    .argument(...kinds)
    .helpCommand(false)
    .addHelpText(
      "before",
      examples([
        ["headworks crds | kubectl apply --server-side --force-conflicts -f -", "into a cluster, or over those that are there"],
        ["headworks crds vs rt", ""],
        ["headworks crds diff", "what is different in the cluster"],
        ["headworks crds apply", "the same as with kubectl, but not where stored objects would not fit any more"],
      ]),
    )
    .action(async (names: string[]) => {
      const { crds } = await import("./crds.ts");
      crds(names);
    });
  print.addCommand(
    withCluster(command("diff", "compare the definitions of a cluster with those of this version; exit code 1 where they differ"))
      .argument(...kinds)
      .action(async (names: string[], flags: ClusterFlags) => {
        const { diffDefinitions } = await import("./crds-cluster.ts");
        process.exitCode = await diffDefinitions(names, flags);
      }),
  );
  print.addCommand(
    withCluster(command("apply", "install the definitions, or bring them up to date; refused where stored objects would not fit any more"))
      .argument(...kinds)
      .option("--dry-run", "say what would be done, and ask the API server whether it would")
      .action(async (names: string[], flags: ApplyFlags) => {
        const { applyDefinitions } = await import("./crds-cluster.ts");
        process.exitCode = await applyDefinitions(names, flags);
      }),
  );
  root.addCommand(print);
}
