// A cluster with our definitions and a Gateway on a port of its own, and the program that serves it.
import { readdirSync, readFileSync } from "node:fs";
import { networkInterfaces } from "node:os";
import { join } from "node:path";
import { type KubernetesOptions, type RunningKubernetes, startKubernetes } from "../servers/kubernetes.ts";
import { findKubernetes } from "../servers/kubernetes-binaries.ts";
import { freePorts } from "../servers/ports.ts";
import { object } from "./gateway.ts";
import { type Running, start } from "./headworks.ts";

/** Says aloud that it is not there; throws where it is required. */
export const hasKubernetes: boolean = (() => {
  if (findKubernetes() !== undefined) return true;
  if (process.env.HEADWORKS_REQUIRE_SERVERS === "1") throw new Error("Kubernetes is required (HEADWORKS_REQUIRE_SERVERS=1) and not there");
  console.warn("SKIPPED: kube-apiserver and etcd are not there.");
  return false;
})();

export interface Cluster extends AsyncDisposable {
  readonly kubernetes: RunningKubernetes;
  /** Of the Gateway. */
  readonly port: number;
  readonly adminPort: number;
}

export async function cluster(options?: KubernetesOptions): Promise<Cluster> {
  const kubernetes = await startKubernetes(options);
  const folder = join(import.meta.dirname, "../../deploy/crds");
  const [port = 0, adminPort = 0] = await freePorts(2);
  try {
    for (const file of readdirSync(folder)) await kubernetes.apply(readFileSync(join(folder, file), "utf8"));
    await kubernetes.apply(object("Gateway", "gateway-proxy", { bindAddress: "127.0.0.1", bindPort: port, httpGateway: {} }));
  } catch (error) {
    await kubernetes[Symbol.asyncDispose]();
    throw error;
  }
  return { kubernetes, port, adminPort, [Symbol.asyncDispose]: () => kubernetes[Symbol.asyncDispose]() };
}

export function startOn({ kubernetes, adminPort }: Cluster, ...args: string[]): Running {
  const kubeconfig = args.includes("--kubeconfig") ? [] : ["--kubeconfig", kubernetes.kubeconfigPath];
  return start(["run", "--source", "kubernetes", ...kubeconfig, "--admin", `127.0.0.1:${adminPort}`, "--log", "pretty", ...args]);
}

export async function runOn(cluster: Cluster, ...args: string[]): Promise<Running> {
  const running = startOn(cluster, ...args);
  await running.said(/ ready {2}/);
  return running;
}

/** Endpoints may not be on loopback: an address of this machine that others could dial. */
export function ownAddress(): string | undefined {
  return Object.values(networkInterfaces())
    .flat()
    .find((each) => each?.family === "IPv4" && !each.internal)?.address;
}

export function endpointSlice(service: string, address: string, port: number, namespace = "gloo-system") {
  return {
    apiVersion: "discovery.k8s.io/v1",
    kind: "EndpointSlice",
    metadata: { name: `${service}-1`, namespace, labels: { "kubernetes.io/service-name": service } },
    addressType: "IPv4",
    ports: [{ name: "", port }],
    endpoints: [{ addresses: [address], conditions: { ready: true } }],
  };
}
