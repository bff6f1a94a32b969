// A kind as a cluster stores it, for commands that ask for one.
import type { KubeApi } from "../lib/kubernetes/api.ts";
import { listAll } from "../lib/kubernetes/list-all.ts";
import { apiVersionOf, type KubeObject } from "../lib/kubernetes/object.ts";
import type { ApiKind } from "../model/resource.ts";
import { type ClusterKind, configMapKind, ownKinds, secretKind } from "../sources/kubernetes/kinds.ts";
import { CommandError, type ExitCode } from "./exit.ts";

/** Undefined for what is stored nowhere: Proxies are computed. */
export function storedKind(kind: ApiKind): ClusterKind | undefined {
  return [...ownKinds, secretKind, configMapKind].find((each) => each.kind === kind);
}

/** Throws a CommandError with this exit code where the cluster has no definition of it. */
export async function expectServed(api: KubeApi, { type, isOurs }: ClusterKind, exitCode: ExitCode): Promise<void> {
  const { group, plural } = type;
  if (!isOurs || (await api.discover(apiVersionOf(type))).some((each) => each.plural === plural)) return;
  throw new CommandError(
    `${api.connection.name} has no definition of ${plural}.${group}`,
    exitCode,
    `headworks crds ${plural} | kubectl apply --server-side -f - installs it.`,
  );
}

/** Of one namespace, or of all. */
export function objectsOf(api: KubeApi, { type, fieldSelector }: ClusterKind, namespace: string | undefined): Promise<KubeObject[]> {
  return listAll(api, type, { ...(namespace !== undefined && { namespace }), ...(fieldSelector !== undefined && { fieldSelector }) });
}
