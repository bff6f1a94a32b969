// etcd and the API server of Kubernetes: where they are, and how they are built.
import { existsSync, readFileSync } from "node:fs";
import { delimiter, join } from "node:path";
import { buildWithGo, cachedIn, go } from "./go-build.ts";

const etcdVersion = "3.6.11";
const kubernetesVersion = "1.36.3";
const etcdFolder = `etcd-${etcdVersion}`;
const apiServerFolder = `kube-apiserver-${kubernetesVersion}`;

/** `$ETCD_BIN`, the cache that the test set-up fills, or PATH. */
export const findEtcd = () => find(process.env.ETCD_BIN, etcdFolder, "etcd");

/** `$KUBE_APISERVER_BIN`, the cache that the test set-up fills, or PATH. */
export const findApiServer = () => find(process.env.KUBE_APISERVER_BIN, apiServerFolder, "kube-apiserver");

/** Both, or undefined. */
export function findKubernetes(): { readonly etcd: string; readonly apiServer: string } | undefined {
  const etcd = findEtcd();
  const apiServer = findApiServer();
  return etcd === undefined || apiServer === undefined ? undefined : { etcd, apiServer };
}

function find(given: string | undefined, folder: string, name: string): string | undefined {
  const candidates = [given, join(cachedIn(folder), name), ...(process.env.PATH ?? "").split(delimiter).map((each) => join(each, name))];
  return candidates.find((path) => path !== undefined && path !== "" && existsSync(path));
}

/** Half a minute. */
export function installEtcd(): void {
  buildWithGo({ folder: etcdFolder, binary: "etcd", package: "go.etcd.io/etcd/server/v3", version: etcdVersion });
}

/** About four minutes on two cores. */
export function installApiServer(): void {
  const version = "k8s.io/component-base/version";
  const [major, minor] = kubernetesVersion.split(".");
  buildWithGo({
    folder: apiServerFolder,
    binary: "kube-apiserver",
    package: "k8s.io/kubernetes/cmd/kube-apiserver",
    version: kubernetesVersion,
    replaces: stagingReplaces,
    ldflags: `-X ${version}.gitVersion=v${kubernetesVersion} -X ${version}.gitMajor=${major} -X ${version}.gitMinor=${minor}`,
  });
}

/** Kubernetes' own go.mod replaces these by folders of its repository; a module that uses it has to name their releases. */
function stagingReplaces(cwd: string): string[] {
  const { GoMod } = JSON.parse(go(cwd, "mod", "download", "-json", `k8s.io/kubernetes@v${kubernetesVersion}`)) as {
    readonly GoMod: string;
  };
  const staged = readFileSync(GoMod, "utf8").matchAll(/^\s*(?:replace\s+)?(k8s\.io\/\S+)\s+=>\s+\.\/staging\//gm);
  return [...staged].map(([, module]) => `replace ${module} => ${module} v${kubernetesVersion.replace(/^1\./, "0.")}`);
}
