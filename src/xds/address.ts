// Where the server listens. xDS carries every private key that the listeners use, so an open door has to be asked for.
import { chmod, lstat, unlink } from "node:fs/promises";
import { connect, isIPv6 } from "node:net";

export type ListenAddress = { readonly host: string; readonly port: number } | { readonly path: string; readonly mode?: number };

/** The port that was chosen when port 0 was asked for. */
export type BoundAddress = ListenAddress;

export interface ListenSecurity {
  /** PEM. With `clientCa`, only clients with a certificate of that authority are let in. */
  readonly tls?: { readonly cert: string | Buffer; readonly key: string | Buffer; readonly clientCa?: string | Buffer };
  /** Whoever can reach the address may read all configuration, secrets included. */
  readonly insecure?: boolean;
}

/** Throws unless the address is loopback or a Unix socket, clients must show certificates, or the user insists. */
export function refuseOpenDoor(address: ListenAddress, { tls, insecure }: ListenSecurity): void {
  if ("path" in address || isLoopback(address.host) || tls?.clientCa !== undefined || insecure) return;
  throw new Error(
    `xDS on ${formatAddress(address)} would let anyone read all configuration, private keys included: use a loopback address, a Unix socket, or TLS with a client CA`,
  );
}

function isLoopback(host: string): boolean {
  return host === "localhost" || host === "::1" || /^127(\.\d{1,3}){3}$/.test(host);
}

/** As gRPC spells it. */
export function formatAddress(address: ListenAddress): string {
  if ("path" in address) return `unix:${address.path}`;
  return `${isIPv6(address.host) ? `[${address.host}]` : address.host}:${address.port}`;
}

/** A socket file that nobody listens on is left from a process that was killed, and in the way. */
export async function removeStaleSocket(path: string): Promise<void> {
  const there = await lstat(path).catch(() => undefined);
  if (there === undefined) return;
  if (!there.isSocket()) throw new Error(`${path} exists and is not a socket`);
  if (await answers(path)) throw new Error(`another process listens on ${path}`);
  await unlink(path);
}

function answers(path: string): Promise<boolean> {
  return new Promise((resolve) => {
    const socket = connect(path);
    socket.once("connect", () => {
      socket.destroy();
      resolve(true);
    });
    socket.once("error", () => resolve(false));
  });
}

/** Readable by the owner only, unless the user says otherwise: who may connect may read everything. */
export async function restrictSocket(path: string, mode = 0o600): Promise<void> {
  await chmod(path, mode);
}
