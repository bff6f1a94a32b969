// Where the proxy of a cluster takes requests: at its load balancer, at a port of the nodes, or within the cluster only.
import type { KubeApi } from "../lib/kubernetes/api.ts";
import type { KubeObject } from "../lib/kubernetes/object.ts";
import { serviceKind } from "../sources/kubernetes/kinds.ts";
import { openCluster } from "./cluster.ts";
import { inWords } from "./cluster-once.ts";
import type { WatchFlags } from "./cluster-options.ts";
import { CommandError, exitCodes } from "./exit.ts";
import type { Gateway } from "./proxy-url.ts";
import { say } from "./terminal.ts";

interface ServiceSpec {
  readonly type?: string;
  readonly clusterIP?: string;
  readonly ports?: readonly { readonly name?: string; readonly port: number; readonly nodePort?: number }[];
}

interface ServiceStatus {
  readonly loadBalancer?: { readonly ingress?: readonly { readonly ip?: string; readonly hostname?: string }[] };
}

export async function gatewaysOfCluster(
  flags: WatchFlags,
  { namespace, name }: { readonly namespace: string; readonly name: string },
): Promise<readonly Gateway[]> {
  using api = await openCluster(flags);
  return await inWords(api, async () => {
    const service = await api.get(serviceKind.type, { namespace, name });
    const { type, ports = [] } = (service.spec ?? {}) as ServiceSpec;
    const { host, isNode } = await hostOf(api, service);
    if (type === "ClusterIP" || type === undefined)
      say("this address is known within the cluster only; from outside, kubectl port-forward");
    return ports.map(({ name: portName, port, nodePort }) => ({
      host,
      port: isNode ? (nodePort ?? port) : port,
      isTls: portName === "https" || port === 443 || port === 8443,
      ...(portName !== undefined && { portName }),
    }));
  });
}

async function hostOf(api: KubeApi, service: KubeObject): Promise<{ readonly host: string; readonly isNode: boolean }> {
  const { type, clusterIP = "" } = (service.spec ?? {}) as ServiceSpec;
  const [ingress] = ((service.status ?? {}) as ServiceStatus).loadBalancer?.ingress ?? [];
  const balanced = ingress?.ip ?? ingress?.hostname;
  if (balanced !== undefined) return { host: balanced, isNode: false };
  if (type !== "NodePort" && type !== "LoadBalancer") return { host: clusterIP, isNode: false };
  const node = await nodeAddress(api);
  if (node !== undefined) return { host: node, isNode: true };
  const { namespace, name } = service.metadata;
  throw new CommandError(
    `the Service ${namespace}/${name} has no address yet: its load balancer is not there, and neither is a node`,
    exitCodes.findings,
  );
}

interface NodeStatus {
  readonly addresses?: readonly { readonly type: string; readonly address: string }[];
}

async function nodeAddress(api: KubeApi): Promise<string | undefined> {
  const { items } = await api.list({ group: "", version: "v1", plural: "nodes", kind: "Node", isNamespaced: false }, { limit: 20 });
  const addresses = items.flatMap(({ status }) => ((status ?? {}) as NodeStatus).addresses ?? []);
  const of = (type: string) => addresses.find((each) => each.type === type)?.address;
  return of("ExternalIP") ?? of("InternalIP");
}
