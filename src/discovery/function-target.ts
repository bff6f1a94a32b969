// Where the service behind an Upstream can be asked. Names are resolved once and the address is judged; what is dialled is that address.
import { lookup } from "node:dns/promises";
import { isIP } from "node:net";
import { networkInterfaces } from "node:os";
import type { UpstreamSslConfig } from "../gen/gloo/gloo/projects/gloo/api/v1/ssl/ssl_pb.js";
import { addressFault, isLoopback } from "../lib/probe-address.ts";
import type { Ref } from "../model/ref.ts";
import type { Resource, Spec } from "../model/resource.ts";
import type { FunctionTarget } from "../plugin/function-kind.ts";
import type { Endpoint } from "../plugin/upstream-type.ts";

/** Such an address is not asked. */
export class AddressRefused extends Error {
  override readonly name = "AddressRefused";
}

interface Where {
  readonly host: string;
  readonly port?: number;
  readonly authority: string;
  readonly sni?: string;
  readonly isTls: boolean;
  /** The Upstream itself names the host. */
  readonly isWritten: boolean;
}

/** Which service is meant: the same text, the same one, wherever its endpoints go. Undefined while no address is known. Pure. */
export function placeOf(upstream: Resource<"Upstream">, endpoints: readonly Endpoint[]): string | undefined {
  const where = whereOf(upstream, endpoints);
  if (where === undefined) return undefined;
  const { host, port, authority, sni, isTls, isWritten } = where;
  const tls = [isTls, sni, upstream.spec?.sslConfig?.sslSecrets.case];
  return JSON.stringify(isWritten ? [host, port, authority, tls] : [upstream.key, tls]);
}

/** Throws {@link AddressRefused}, and when the name cannot be resolved. `ownPorts`: what listens there on this machine are we. */
export async function functionTarget(
  upstream: Resource<"Upstream">,
  endpoints: readonly Endpoint[],
  secret: (ref: Ref) => Spec<"Secret"> | undefined,
  ownPorts: readonly number[] = [],
): Promise<FunctionTarget> {
  const where = whereOf(upstream, endpoints);
  if (where === undefined) throw new Error("no address of it is known yet");
  const { host, port, authority, sni, isTls, isWritten } = where;
  const address = port === undefined ? host : await judged(host, isWritten && isLoopback(host));
  if (port !== undefined && ownPorts.includes(port) && isHere(address))
    throw new AddressRefused(`${authorityOf(address, port)} is Headworks itself`);
  const tls = isTls ? { ...certificates(upstream.spec?.sslConfig, secret), ...(sni !== undefined && { sni }) } : undefined;
  return { upstream, address, authority, ...(port !== undefined && { port }), ...(tls && { tls }) };
}

function whereOf({ spec }: Resource<"Upstream">, endpoints: readonly Endpoint[]): Where | undefined {
  const type = spec?.upstreamType;
  const ssl = spec?.sslConfig;
  const ownSni = ssl?.sni ? { sni: ssl.sni } : {};
  if (type?.case === "static") {
    const [first] = type.value.hosts;
    if (first === undefined) return undefined;
    const { addr, port, sniAddr } = first;
    const isTls = ssl !== undefined || type.value.useTls === true || (type.value.useTls === undefined && port === 443);
    return { host: addr, port, authority: authorityOf(addr, port), isTls, isWritten: true, ...(sniAddr ? { sni: sniAddr } : ownSni) };
  }
  if (type?.case === "pipe") {
    const { path } = type.value;
    return {
      host: path.startsWith("@") ? `\0${path.slice(1)}` : path,
      authority: "localhost",
      isTls: ssl !== undefined,
      isWritten: true,
      ...ownSni,
    };
  }
  const usable = endpoints.find(({ health = "healthy" }) => health === "healthy" || health === "degraded") ?? endpoints[0];
  if (usable?.port === undefined) return undefined;
  const { address, port } = usable;
  const service =
    type?.case === "kube"
      ? authorityOf(`${type.value.serviceName}.${type.value.serviceNamespace}.svc.cluster.local`, type.value.servicePort)
      : authorityOf(usable.hostname ?? address, port);
  return { host: address, port, authority: service, isTls: ssl !== undefined, isWritten: false, ...ownSni };
}

function authorityOf(host: string, port: number): string {
  return isIP(host) === 6 ? `[${host}]:${port}` : `${host}:${port}`;
}

async function judged(host: string, mayBeLoopback: boolean): Promise<string> {
  const addresses = isIP(host) === 0 ? (await lookup(host, { all: true })).map(({ address }) => address) : [host];
  for (const address of addresses) {
    const fault = addressFault(address, mayBeLoopback);
    if (fault !== undefined) throw new AddressRefused(host === address ? `${address} ${fault}` : `${host} is ${address}, which ${fault}`);
  }
  const [first] = addresses;
  if (first === undefined) throw new Error(`${host} has no address`);
  return first;
}

function isHere(address: string): boolean {
  const plain = address.replace(/^::ffff:/i, "");
  if (isLoopback(plain)) return true;
  return Object.values(networkInterfaces()).some((each) => each?.some((own) => own.address === plain));
}

function certificates(ssl: UpstreamSslConfig | undefined, secret: (ref: Ref) => Spec<"Secret"> | undefined) {
  const found = ssl?.sslSecrets.case === "secretRef" ? secret(ssl.sslSecrets.value)?.kind : undefined;
  if (found?.case !== "tls") return {};
  const { rootCa, certChain, privateKey } = found.value;
  return { ...(rootCa && { ca: rootCa }), ...(certChain && privateKey && !ssl?.oneWayTls && { cert: certChain, key: privateKey }) };
}
