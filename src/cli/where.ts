// Where a command finds the resources: one rule for all commands. Loads nothing of Kubernetes and nothing that reads folders.
import { type Command, Option } from "commander";
import type { Plugins } from "../plugin/plugins.ts";
import type { Source } from "../plugin/source.ts";
import { type ClusterFlags, type WatchFlags, withCluster } from "./cluster-options.ts";
import { CommandError } from "./exit.ts";

export type Where =
  | { readonly kind: "folders"; readonly folders: readonly string[] }
  | { readonly kind: "cluster"; readonly flags: WatchFlags }
  /** Neither was named. */
  | { readonly kind: "unsaid" };

/** For the end of a help text. */
export const whereHelp = `
A folder means that folder. --source kubernetes, --kubeconfig or --context mean the cluster, read and written with your own rights.`;

/** The options that mean a cluster. */
export function withWhere(target: Command): Command {
  return withCluster(
    target.addOption(
      new Option("--source <which>", "kubernetes: a cluster, in the place of a folder")
        .choices(["files", "kubernetes"])
        .env("HEADWORKS_SOURCE"),
    ),
  )
    .addOption(new Option("--kube-context <name>", "glooctl's name of --context").hideHelp())
    .addHelpText("after", whereHelp);
}

interface WhereFlags extends ClusterFlags {
  readonly source?: "files" | "kubernetes";
  readonly kubeContext?: string;
  readonly watchNamespaces?: readonly string[];
}

/** A folder on the command line outranks a cluster in the environment; both on the command line is a mistake. */
export function whereOf(command: Command, folders: readonly string[] = []): Where {
  const { source, kubeconfig, context, kubeContext, watchNamespaces } = command.opts<WhereFlags>();
  const said = [
    ...(source === "kubernetes" ? ["source"] : []),
    ...(kubeconfig !== undefined ? ["kubeconfig"] : []),
    ...(context !== undefined ? ["context"] : []),
    ...(kubeContext !== undefined ? ["kubeContext"] : []),
  ];
  if (folders.length > 0) {
    const typed = said.find((name) => command.getOptionValueSource(name) === "cli");
    if (typed === undefined) return { kind: "folders", folders };
    const flag = typed === "source" ? "--source kubernetes" : typed === "kubeContext" ? "--kube-context" : `--${typed}`;
    throw new CommandError(`${flag} means a cluster, and ${folders.join(", ")} is a folder; name one of the two`);
  }
  if (said.length === 0 || source === "files") return { kind: "unsaid" };
  const chosen = context ?? kubeContext;
  return {
    kind: "cluster",
    flags: {
      ...(kubeconfig !== undefined && { kubeconfig }),
      ...(chosen !== undefined && { context: chosen }),
      ...(watchNamespaces && { watchNamespaces }),
    },
  };
}

export interface Opened extends Disposable {
  readonly source: Source;
  /** For people: `./config`, `https://10.0.0.1:6443 (context "test")`. */
  readonly name: string;
}

/**
 * What is there, for reading once. Throws a CommandError for what the user can mend, also while it is read. With `onSecretsDenied`,
 * that Secrets may not be read is none of that; it is called, and everything else is there.
 */
export async function openOnce(where: Where, plugins: Plugins, onSecretsDenied?: () => void): Promise<Opened> {
  switch (where.kind) {
    case "folders": {
      const { openFolders } = await import("./folders.ts");
      const isStdin = where.folders.every((folder) => folder === "-");
      const name = isStdin ? "stdin" : where.folders.join(", ");
      return { source: await openFolders(where.folders, plugins), name, [Symbol.dispose]: () => undefined };
    }
    case "cluster": {
      const { openClusterOnce } = await import("./cluster-once.ts");
      return await openClusterOnce(where.flags, plugins, onSecretsDenied);
    }
    case "unsaid":
      throw new CommandError("which folder? Or a cluster: --source kubernetes, --kubeconfig or --context");
  }
}
