// Who is asking: Envoy's node, and which Proxy it gets.
import type { Node } from "../gen/envoy/envoy/config/core/v3/base_pb.js";
import type { ProxyKey } from "../model/envoy-resource.ts";

export interface EnvoyNode {
  readonly id: string;
  readonly cluster: string;
  /** What picks the Proxy: `metadata.role`, else the id; as the node wrote it. */
  readonly role: string;
  readonly proxy: ProxyKey;
  /** `envoy`, `grpc`, …; with its version where the node says one: `envoy 1.40.0`. */
  readonly userAgent: string;
}

/** Identities are short; a longer one is a mistake or an attack, and would be repeated in every log line. */
const longestIdentity = 1024;

/** Undefined when the node says neither a role nor an id, or says it at a length that no one means. */
export function parseNode(node: Node | undefined): EnvoyNode | undefined {
  if (node === undefined) return undefined;
  const written = node.metadata?.role;
  const role = typeof written === "string" && written !== "" ? written : node.id;
  if (role === "" || role.length > longestIdentity || node.id.length > longestIdentity || node.cluster.length > longestIdentity)
    return undefined;
  return { id: node.id, cluster: node.cluster, role, proxy: proxyOfRole(role), userAgent: userAgentOf(node) };
}

/**
 * `namespace~proxy`, or `owner~namespace~proxy` as Gloo's newer charts write it. Any other role names no Proxy; its key has an
 * empty namespace, which none has.
 */
export function proxyOfRole(role: string): ProxyKey {
  const parts = role.split("~");
  const [namespace, name] = parts.slice(-2);
  if ((parts.length !== 2 && parts.length !== 3) || !namespace || !name) return `~${role}`;
  return `${namespace}~${name}`;
}

function userAgentOf(node: Node): string {
  const version = node.userAgentVersionType;
  const name = node.userAgentName.slice(0, 64);
  if (version.case === "userAgentVersion") return `${name} ${version.value.slice(0, 64)}`;
  const number = version.case === "userAgentBuildVersion" ? version.value.version : undefined;
  return number === undefined ? name : `${name} ${number.majorNumber}.${number.minorNumber}.${number.patch}`;
}
