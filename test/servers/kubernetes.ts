// A real Kubernetes API for tests: etcd and kube-apiserver, on loopback and free ports, killed with the scope. No controller, scheduler
// or kubelet runs: Endpoints and EndpointSlices are written by the test, and a namespace that is deleted stays "Terminating".
import { type ChildProcess, spawn } from "node:child_process";
import { generateKeyPairSync, randomBytes } from "node:crypto";
import { existsSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { setTimeout as delay } from "node:timers/promises";
import { findKubernetes } from "./kubernetes-binaries.ts";
import { type KubeAnswer, type KubeClient, kubeClient } from "./kubernetes-client.ts";
import { freePorts } from "./ports.ts";

export interface KubernetesOptions {
  /** Users with tokens of their own, beside the admin; what they may do, the test says with roles (RBAC is on). */
  readonly users?: readonly KubeUser[];
  /** Further arguments of the API server: `--watch-cache=false`. */
  readonly apiServerArgs?: readonly string[];
  /** Further arguments of etcd: `--quota-backend-bytes=…`. */
  readonly etcdArgs?: readonly string[];
}

export interface KubeUser {
  readonly name: string;
  readonly token: string;
  readonly groups?: readonly string[];
}

/** One request that wrote, as the audit log has it. */
export interface KubeWrite {
  readonly user: string;
  /** `create`, `update`, `patch`, `delete`. */
  readonly verb: string;
  /** `upstreams`, `upstreams/status`, `events`, `leases`. */
  readonly resource: string;
  readonly namespace?: string;
  readonly name?: string;
  readonly status: number;
}

export interface KubernetesProcess {
  process(): ChildProcess;
  /** SIGSTOP: it hangs, connections stay open and silent. */
  pause(): void;
  resume(): void;
  /** SIGKILL, as a crash would. */
  kill(): Promise<void>;
  /** After a kill: the same port, the same data. Resolves when it is ready again. */
  start(): Promise<void>;
  log(): string;
}

export interface RunningKubernetes extends KubeClient, AsyncDisposable {
  /** `https://127.0.0.1:PORT`. */
  readonly url: string;
  readonly caFile: string;
  readonly adminToken: string;
  /** Of the admin, context `test`. */
  readonly kubeconfigPath: string;
  readonly apiServer: KubernetesProcess;
  readonly etcd: KubernetesProcess & {
    readonly url: string;
    readonly peerUrl: string;
    /** Asks for `/v3/kv/range` and the like. Throws where the answer is none of success. */
    call(path: string, body: object): Promise<unknown>;
    /** Forgets all old revisions, so that watches from them are answered 410. */
    compact(): Promise<void>;
  };
  /** The path of a kubeconfig for another user, another address (a proxy's) or another namespace. */
  kubeconfig(user: { readonly token?: string; readonly server?: string; readonly namespace?: string }): string;
  /** The helpers as another user. */
  as(token: string): KubeClient;
  /** A token of a ServiceAccount that exists, as a Pod would be given. */
  serviceAccountToken(namespace: string, name: string, seconds?: number): Promise<string>;
  /** A new certificate of a new authority, from the next start of the API server on; `caFile` is the new one's then. */
  rotateCertificate(): void;
  /** Every write so far, in order. The admin's are left out unless asked for. */
  writes(options?: { readonly withAdmin?: boolean }): KubeWrite[];
}

export async function startKubernetes(options: KubernetesOptions = {}): Promise<RunningKubernetes> {
  const binaries = findKubernetes();
  if (binaries === undefined) throw new Error("Kubernetes is not there: set ETCD_BIN and KUBE_APISERVER_BIN");
  const folder = mkdtempSync(join(tmpdir(), "kubernetes-"));
  const path = (name: string) => join(folder, name);
  const [etcdPort, peerPort, port] = (await freePorts(3)) as [number, number, number];
  const etcdUrl = `http://127.0.0.1:${etcdPort}`;
  const peerUrl = `http://127.0.0.1:${peerPort}`;
  const url = `https://127.0.0.1:${port}`;
  const adminToken = randomBytes(16).toString("hex");
  writeFiles(path, adminToken, options.users ?? []);

  const etcd = controlled("etcd", binaries.etcd, [
    `--data-dir=${path("etcd")}`,
    `--listen-client-urls=${etcdUrl}`,
    `--advertise-client-urls=${etcdUrl}`,
    `--listen-peer-urls=${peerUrl}`,
    `--initial-advertise-peer-urls=${peerUrl}`,
    `--initial-cluster=default=${peerUrl}`,
    "--unsafe-no-fsync",
    "--log-level=error",
    ...(options.etcdArgs ?? []),
  ]);
  const apiServer = controlled("kube-apiserver", binaries.apiServer, [
    `--etcd-servers=${etcdUrl}`,
    `--secure-port=${port}`,
    "--bind-address=127.0.0.1",
    // Where there is no default route, it finds no address by itself. Nobody dials this one.
    "--advertise-address=192.0.2.1",
    "--endpoint-reconciler-type=none",
    `--cert-dir=${path("certs")}`,
    "--service-account-issuer=https://test",
    `--service-account-key-file=${path("sa.key")}`,
    `--service-account-signing-key-file=${path("sa.key")}`,
    `--token-auth-file=${path("tokens.csv")}`,
    "--service-cluster-ip-range=10.0.0.0/16",
    "--authorization-mode=RBAC",
    "--disable-admission-plugins=ServiceAccount",
    `--audit-policy-file=${path("audit-policy.json")}`,
    `--audit-log-path=${path("audit.log")}`,
    "--profiling=false",
    ...(options.apiServerArgs ?? []),
  ]);

  const caFile = path("certs/apiserver.crt");
  const ca = () => readFileSync(caFile, "utf8");
  const client = (token: string) => kubeClient({ url, ca, token });
  const admin = client(adminToken);
  const clients: KubeClient[] = [admin];
  const callEtcd = async (path: string, body: object): Promise<unknown> => {
    const answer = await fetch(`${etcdUrl}${path}`, { method: "POST", body: JSON.stringify(body) });
    if (!answer.ok) throw new Error(`etcd ${path}: ${answer.status} ${await answer.text()}`);
    return answer.json();
  };
  let kubeconfigs = 0;

  const started = {
    etcd: () => etcd.launch(async () => (await fetch(`${etcdUrl}/health`)).ok),
    apiServer: () =>
      apiServer.launch(async () => {
        if (!existsSync(caFile)) return false;
        admin.forget();
        return (await admin.request("GET", "/readyz", undefined, { timeoutMs: 2000 })).status === 200;
      }),
  };
  const dispose = async () => {
    for (const each of clients) each.forget();
    await Promise.all([apiServer.kill(), etcd.kill()]);
    rmSync(folder, { recursive: true, force: true, maxRetries: 3 });
  };
  const kubeconfig: RunningKubernetes["kubeconfig"] = ({ token = adminToken, server = url, namespace }) => {
    const file = path(`kubeconfig-${kubeconfigs++}`);
    const cluster = { server, "certificate-authority": caFile };
    writeFileSync(
      file,
      JSON.stringify({
        apiVersion: "v1",
        kind: "Config",
        clusters: [{ name: "test", cluster }],
        users: [{ name: "test", user: { token } }],
        contexts: [{ name: "test", context: { cluster: "test", user: "test", ...(namespace !== undefined && { namespace }) } }],
        "current-context": "test",
      }),
    );
    return file;
  };

  try {
    await started.etcd();
    await started.apiServer();
  } catch (error) {
    await dispose();
    throw error;
  }
  return {
    ...admin,
    url,
    caFile,
    adminToken,
    kubeconfigPath: kubeconfig({}),
    kubeconfig,
    apiServer: { ...apiServer, start: started.apiServer },
    etcd: {
      ...etcd,
      url: etcdUrl,
      peerUrl,
      start: started.etcd,
      call: callEtcd,
      async compact() {
        const range = await callEtcd("/v3/kv/range", { key: Buffer.from("x").toString("base64") });
        const { header } = range as { readonly header: { readonly revision: string } };
        await callEtcd("/v3/kv/compaction", { revision: header.revision, physical: true });
      },
    },
    as(token) {
      const other = client(token);
      clients.push(other);
      return other;
    },
    async serviceAccountToken(namespace, name, seconds = 3600) {
      const made = await admin.request("POST", `/api/v1/namespaces/${namespace}/serviceaccounts/${name}/token`, {
        apiVersion: "authentication.k8s.io/v1",
        kind: "TokenRequest",
        spec: { expirationSeconds: seconds },
      });
      return (okay(made).status as { readonly token: string }).token;
    },
    rotateCertificate: () => rmSync(path("certs"), { recursive: true, force: true }),
    writes: ({ withAdmin = false } = {}) => readWrites(path("audit.log"), withAdmin),
    [Symbol.asyncDispose]: dispose,
  };
}

function writeFiles(path: (name: string) => string, adminToken: string, users: readonly KubeUser[]): void {
  const { privateKey } = generateKeyPairSync("rsa", { modulusLength: 2048 });
  writeFileSync(path("sa.key"), privateKey.export({ type: "pkcs1", format: "pem" }), { mode: 0o600 });
  const all = [{ name: "admin", token: adminToken, groups: ["system:masters"] }, ...users];
  writeFileSync(path("tokens.csv"), all.map(({ name, token, groups = [] }) => `${token},${name},${name},"${groups.join()}"\n`).join(""));
  writeFileSync(
    path("audit-policy.json"),
    JSON.stringify({
      apiVersion: "audit.k8s.io/v1",
      kind: "Policy",
      omitStages: ["RequestReceived"],
      rules: [{ level: "None", verbs: ["get", "list", "watch"] }, { level: "None", users: ["system:apiserver"] }, { level: "Metadata" }],
    }),
  );
}

function readWrites(file: string, withAdmin: boolean): KubeWrite[] {
  const lines = existsSync(file) ? readFileSync(file, "utf8").split("\n") : [];
  return lines.flatMap((line) => {
    if (line === "") return [];
    const { user, verb, objectRef = {}, responseStatus = {} } = JSON.parse(line);
    if (!withAdmin && user.username === "admin") return [];
    const { resource = "", subresource, namespace, name } = objectRef;
    const whole = subresource ? `${resource}/${subresource}` : resource;
    return [
      { user: user.username, verb, resource: whole, ...(namespace && { namespace }), ...(name && { name }), status: responseStatus.code },
    ];
  });
}

function okay({ status, body }: KubeAnswer): Readonly<Record<string, unknown>> {
  if (status >= 300) throw new Error(`${status}: ${JSON.stringify(body)}`);
  return body as Readonly<Record<string, unknown>>;
}

/** A child process that can be stopped, killed and started again. */
export function controlled(name: string, binary: string, args: readonly string[]) {
  let child: ChildProcess;
  let exited: Promise<void> = Promise.resolve();
  let log = "";
  const keep = (chunk: Buffer) => {
    log = (log + chunk.toString("utf8")).slice(-1_000_000);
  };
  const kill = async () => {
    child?.kill("SIGKILL");
    await exited;
  };
  // A test runner that ends without cleaning up takes it along.
  process.once("exit", () => child?.kill("SIGKILL"));
  return {
    process: () => child,
    pause: () => void child.kill("SIGSTOP"),
    resume: () => void child.kill("SIGCONT"),
    kill,
    log: () => log,
    async launch(isUp: () => Promise<boolean>): Promise<void> {
      child = spawn(binary, args, { stdio: ["ignore", "pipe", "pipe"] });
      exited = new Promise((resolve) => child.once("exit", () => resolve()));
      child.stdout?.on("data", keep);
      child.stderr?.on("data", keep);
      const begun = performance.now();
      while (!(await isUp().catch(() => false))) {
        if (child.exitCode !== null) throw new Error(`${name} ended with ${child.exitCode}:\n${log.slice(-4000)}`);
        if (performance.now() - begun > 60_000) {
          await kill();
          throw new Error(`${name} did not come up:\n${log.slice(-4000)}`);
        }
        await delay(25);
      }
    },
  };
}
