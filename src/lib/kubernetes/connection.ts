// Which cluster, and as whom: kubeconfig files with their contexts, or what a Pod is given. What proves who we are (exec plug-ins, OIDC,
// certificates) is @kubernetes/client-node's business; loading it costs a third of a second, so only who wants a cluster does.
import { existsSync, readFileSync } from "node:fs";
import type { Agent } from "node:http";
import { homedir } from "node:os";
import { delimiter, dirname, join, resolve } from "node:path";
import type { SecureContextOptions } from "node:tls";
import type { KubeConfig, User } from "@kubernetes/client-node";

export interface ConnectionOptions {
  /** A kubeconfig; else those of `$KUBECONFIG`, else what a Pod is given, else `~/.kube/config`. */
  readonly kubeconfig?: string;
  /** Of the kubeconfig; else its current one. */
  readonly context?: string;
  /** Where a Pod finds its token; tests have it elsewhere. */
  readonly serviceAccountFolder?: string;
}

export interface Connection {
  readonly server: URL;
  /** For messages: `https://10.0.0.1:6443 (context "test")`. */
  readonly name: string;
  /** Of the context, or the Pod's own. */
  readonly namespace: string | undefined;
  readonly isInCluster: boolean;
  /** Read anew whenever asked, as tokens and authorities rotate. With `forget`, nothing that was cached is trusted: it was refused. */
  credentials(forget?: boolean): Promise<Credentials>;
}

export interface Credentials {
  readonly headers: Readonly<Record<string, string>>;
  readonly tls: TlsOptions;
  /** Connects through a proxy, where the kubeconfig names one. */
  readonly agent?: Agent;
}

export type TlsOptions = Pick<SecureContextOptions, "ca" | "cert" | "key" | "passphrase"> & {
  readonly servername?: string;
  readonly rejectUnauthorized?: boolean;
};

/** There is no cluster to talk to, or the files that describe it are wrong. The message is for the user. */
export class ConnectionError extends Error {
  override readonly name = "ConnectionError";
}

const podFolder = "/var/run/secrets/kubernetes.io/serviceaccount";

export async function connectionTo(options: ConnectionOptions = {}): Promise<Connection> {
  const { kubeconfig = "", serviceAccountFolder = podFolder } = options;
  const named = kubeconfig !== "" ? [kubeconfig] : (process.env.KUBECONFIG ?? "").split(delimiter).filter((file) => file !== "");
  if (named.length === 0 && isInPod(serviceAccountFolder) && options.context === undefined) return podConnection(serviceAccountFolder);
  const files = named.length > 0 ? named : [join(homedir(), ".kube", "config")];
  const there = files.filter((file) => existsSync(file));
  // kubectl takes what there is of $KUBECONFIG; a file named by hand has to be there.
  if (there.length === 0) {
    const where = files.join(", ");
    throw new ConnectionError(
      named.length > 0 ? `the kubeconfig ${where} is not there` : `there is no kubeconfig: ${where} is not there, and this is no Pod`,
    );
  }
  return fileConnection(there, options.context);
}

function isInPod(folder: string): boolean {
  return (process.env.KUBERNETES_SERVICE_HOST ?? "") !== "" && existsSync(join(folder, "token"));
}

/** Token and authority are files that the kubelet replaces while we run. */
function podConnection(folder: string): Connection {
  const host = process.env.KUBERNETES_SERVICE_HOST as string;
  const server = new URL(`https://${host.includes(":") ? `[${host}]` : host}:${process.env.KUBERNETES_SERVICE_PORT ?? "443"}`);
  return {
    server,
    name: `${server.origin} (this Pod's cluster)`,
    namespace: existsSync(join(folder, "namespace")) ? readFileSync(join(folder, "namespace"), "utf8").trim() : undefined,
    isInCluster: true,
    credentials: async () => ({
      headers: { authorization: `Bearer ${readFileSync(join(folder, "token"), "utf8").trim()}` },
      tls: { ca: readFileSync(join(folder, "ca.crt"), "utf8") },
    }),
  };
}

async function fileConnection(files: readonly string[], wanted: string | undefined): Promise<Connection> {
  const load = async () => selected(await loadFiles(files), files, wanted);
  let loaded = await load();
  const { cluster, config, namespace } = loaded;
  const server = urlOf(cluster.server, files);
  return {
    server,
    name: `${server.origin} (context "${config.getCurrentContext()}")`,
    namespace,
    isInCluster: false,
    async credentials(forget = false) {
      if (forget) loaded = await load();
      return credentialsOf(loaded);
    },
  };
}

interface Loaded {
  readonly config: KubeConfig;
  /** By name of the user: `tokenFile`, which client-node does not know. */
  readonly tokenFiles: ReadonlyMap<string, string>;
}

interface Selected extends Loaded {
  readonly cluster: { readonly server: string; readonly proxyUrl?: string };
  readonly user: User;
  readonly namespace: string | undefined;
}

/** Where several files have something of one name, the first counts, as with kubectl. */
async function loadFiles(files: readonly string[]): Promise<Loaded> {
  // Not the package itself: its index loads the models of the whole API.
  const [{ KubeConfig }, yaml] = await Promise.all([import("@kubernetes/client-node/dist/config.js"), import("js-yaml")]);
  const config = new KubeConfig();
  const tokenFiles = new Map<string, string>();
  for (const file of files) {
    try {
      const part = new KubeConfig();
      part.loadFromFile(file);
      config.clusters = firstOfName([...config.clusters, ...part.clusters]);
      config.users = firstOfName([...config.users, ...part.users]);
      config.contexts = firstOfName([...config.contexts, ...part.contexts]);
      config.currentContext ||= part.currentContext;
      const raw = yaml.load(readFileSync(file, "utf8")) as
        | { users?: readonly { name: string; user?: { tokenFile?: string } }[] }
        | undefined;
      for (const { name, user } of raw?.users ?? [])
        if (user?.tokenFile && !tokenFiles.has(name)) tokenFiles.set(name, resolve(dirname(file), user.tokenFile));
    } catch (error) {
      throw new ConnectionError(`the kubeconfig ${file} cannot be used: ${(error as Error).message}`, { cause: error });
    }
  }
  return { config, tokenFiles };
}

function firstOfName<T extends { readonly name: string }>(all: readonly T[]): T[] {
  return all.filter(({ name }, index) => all.findIndex((each) => each.name === name) === index);
}

function selected(loaded: Loaded, files: readonly string[], wanted: string | undefined): Selected {
  const { config } = loaded;
  if (wanted !== undefined) config.setCurrentContext(wanted);
  const name = config.getCurrentContext();
  const names = config.getContexts().map((each) => each.name);
  const where = files.join(", ");
  const context = config.getContextObject(name);
  if (!context) {
    const there = names.length > 0 ? `; there is ${names.join(", ")}` : "";
    throw new ConnectionError(
      name ? `${where} has no context "${name}"${there}` : `${where} has no current context; choose one with --context${there}`,
    );
  }
  const cluster = config.getCluster(context.cluster);
  if (!cluster) throw new ConnectionError(`the context "${name}" names the cluster "${context.cluster}", which ${where} does not have`);
  const user = config.getUser(context.user) ?? ({ name: context.user } as User);
  return { ...loaded, cluster: cluster as Selected["cluster"], user, namespace: context.namespace };
}

async function credentialsOf({ config, cluster, user, tokenFiles }: Selected): Promise<Credentials> {
  const isPlain = cluster.server.startsWith("http:");
  // client-node refuses to send credentials in the clear. `kubectl proxy` needs none.
  if (isPlain) return { headers: {}, tls: {} };
  const options: Record<string, unknown> & { headers?: Record<string, string> } = {};
  await config.applyToHTTPSOptions(options as Parameters<KubeConfig["applyToHTTPSOptions"]>[0]);
  const headers = lowerCased(options.headers ?? {});
  const tokenFile = tokenFiles.get(user.name);
  if (tokenFile !== undefined) headers.authorization = `Bearer ${readFileSync(tokenFile, "utf8").trim()}`;
  if (typeof options.auth === "string") headers.authorization = `Basic ${Buffer.from(options.auth).toString("base64")}`;
  const tls = Object.fromEntries(
    ["ca", "cert", "key", "passphrase", "servername", "rejectUnauthorized"].flatMap((name) =>
      options[name] === undefined || options[name] === null ? [] : [[name, options[name]]],
    ),
  );
  return { headers, tls, ...(cluster.proxyUrl && { agent: options.agent as Agent }) };
}

function lowerCased(headers: Readonly<Record<string, string>>): Record<string, string> {
  return Object.fromEntries(Object.entries(headers).map(([name, value]) => [name.toLowerCase(), value]));
}

function urlOf(server: string, files: readonly string[]): URL {
  try {
    return new URL(server);
  } catch {
    throw new ConnectionError(`${files.join(", ")} has a server that is no URL: ${server}`);
  }
}
