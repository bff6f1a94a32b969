// What commands write to: a folder or a cluster, with the same words for both.
import type { KubeObject } from "../lib/kubernetes/object.ts";
import type { Ref } from "../model/ref.ts";
import type { ApiKind, Resource } from "../model/resource.ts";
import type { Plugins } from "../plugin/plugins.ts";
import type { Source } from "../plugin/source.ts";
import { CommandError, exitCodes } from "./exit.ts";
import type { ListEdit } from "./list-edit.ts";
import type { Where } from "./where.ts";

/** Every method throws a CommandError for what the user can mend. */
export interface Store extends Disposable {
  /** For people. */
  readonly name: string;
  /** What is there now, with what was written by this very store. */
  readonly source: Source;
  /** A cluster is asked about the namespace only: there may be no right to see more. */
  list(kind: ApiKind, namespace: string): Promise<readonly Resource[]>;
  /** Returns where it stands now, for people; refuses a name that is taken. */
  create(object: KubeObject, file?: string): Promise<string>;
  /** Returns where it stands, and what it is then. With `dryRun`, nothing is written. */
  edit(resource: Resource, edit: ListEdit, dryRun: boolean): Promise<{ readonly place: string; readonly object: unknown }>;
  /** Returns where it stood. */
  delete(resource: Resource): Promise<string>;
}

export async function openStore(where: Where, plugins: Plugins): Promise<Store> {
  switch (where.kind) {
    case "folders": {
      const { folderStore } = await import("./store-folder.ts");
      const [folder = ".", ...more] = where.folders;
      if (more.length > 0 || folder === "-") throw new CommandError("what is written goes into one folder; name one");
      return folderStore(folder, plugins);
    }
    case "cluster": {
      const { clusterStore } = await import("./store-cluster.ts");
      return await clusterStore(where.flags, plugins);
    }
    case "unsaid":
      throw new CommandError(
        "where to? --folder DIR, or a cluster: --source kubernetes, --kubeconfig or --context",
        exitCodes.usage,
        "--dry-run prints it and writes nothing. For a script: HEADWORKS_SOURCE=kubernetes.",
      );
  }
}

export function taken(kind: string, ref: Ref, place: string): CommandError {
  const hint = "Choose another name, or delete that one first.";
  return new CommandError(`${kind} ${ref.namespace}/${ref.name} is there already: ${place}`, exitCodes.refused, hint);
}

/** Throws where it is not there, with the name that may have been meant. */
export async function findIn(store: Store, kind: ApiKind, ref: Ref): Promise<Resource> {
  const all = await store.list(kind, ref.namespace);
  const found = all.find((each) => each.ref.name === ref.name && each.ref.namespace === ref.namespace);
  if (found) return found;
  const { closest } = await import("../lib/closest.ts");
  const elsewhere = all.find((each) => each.ref.name === ref.name);
  const near = closest(
    ref.name,
    all.filter((each) => each.ref.namespace === ref.namespace).map((each) => each.ref.name),
  );
  const meant = elsewhere
    ? `; there is one in namespace ${elsewhere.ref.namespace} (-n ${elsewhere.ref.namespace})`
    : near
      ? `; did you mean ${near}?`
      : "";
  throw new CommandError(`there is no ${kind} ${ref.name} in namespace ${ref.namespace} of ${store.name}${meant}`, exitCodes.findings);
}
