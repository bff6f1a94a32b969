// Sockets that the main process binds and its workers accept from. Their connections wait in one queue of the kernel, from which whoever is free takes
// the next: a worker that ends leaves nothing behind in a queue of its own, and while a new one starts nobody is refused.
import { lookup } from "node:dns/promises";
import net, { isIP } from "node:net";
import { getSystemErrorName } from "node:util";
import { addressKey, type ListenAddress } from "../compile/listener.ts";

/** Node's own handle of a socket: bound, and not yet listening. */
export interface SocketHandle {
  getsockname?(out: { port?: number }): number;
  close(): void;
}

/** With what node:cluster binds the sockets that its workers share. It is the only way to bind one without accepting from it. */
type CreateServerHandle = (
  address: string,
  port: number,
  addressType: 4 | 6 | -1,
  fd: number | undefined,
  flags: number,
) => SocketHandle | number;

const { _createServerHandle: createServerHandle } = net as unknown as { readonly _createServerHandle: CreateServerHandle };

interface Bound {
  readonly handle: SocketHandle;
  readonly users: Set<object>;
}

const ipv6OnlyFlag = 1;

export class BoundSockets {
  readonly #bound = new Map<string, Promise<Bound>>();

  /** Throws what a server would emit. */
  async open(address: ListenAddress, user: object): Promise<SocketHandle> {
    const key = addressKey(address);
    let bound = this.#bound.get(key);
    if (bound === undefined) {
      bound = bind(address).then((handle) => ({ handle, users: new Set() }));
      this.#bound.set(key, bound);
    }
    try {
      const { handle, users } = await bound;
      users.add(user);
      return handle;
    } catch (error) {
      if (this.#bound.get(key) === bound) this.#bound.delete(key);
      throw error;
    }
  }

  async release(address: ListenAddress, user: object): Promise<void> {
    await this.#release(addressKey(address), user);
  }

  /** Of a worker that has ended; called when the next one listens, so that nothing is closed in between. */
  async releaseAll(user: object): Promise<void> {
    for (const key of [...this.#bound.keys()]) await this.#release(key, user);
  }

  async close(): Promise<void> {
    const all = [...this.#bound.values()];
    this.#bound.clear();
    for (const bound of all) (await bound.catch(() => undefined))?.handle.close();
  }

  async #release(key: string, user: object): Promise<void> {
    const promise = this.#bound.get(key);
    const bound = await promise?.catch(() => undefined);
    if (!bound?.users.delete(user) || bound.users.size > 0 || this.#bound.get(key) !== promise) return;
    this.#bound.delete(key);
    bound.handle.close();
  }
}

async function bind(address: ListenAddress): Promise<SocketHandle> {
  if (address.kind === "pipe") return opened(createServerHandle(address.path, -1, -1, undefined, 0), address.path);
  const host = isIP(address.host) === 0 ? (await lookup(address.host)).address : address.host;
  const where = `${host}:${address.port}`;
  const family = isIP(host) === 6 ? 6 : 4;
  const handle = opened(createServerHandle(host, address.port, family, undefined, address.ipv6Only ? ipv6OnlyFlag : 0), where);
  // libuv tells of a taken port only when the socket listens; and a socket that is not bound would then listen on any port.
  const name: { port?: number } = {};
  handle.getsockname?.(name);
  if (address.port === 0 || name.port === address.port) return handle;
  handle.close();
  throw failure("EADDRINUSE", where);
}

function opened(handle: SocketHandle | number, where: string): SocketHandle {
  if (typeof handle === "number") throw failure(getSystemErrorName(handle), where);
  return handle;
}

function failure(code: string, where: string): NodeJS.ErrnoException {
  return Object.assign(new Error(`listen ${code}: ${where}`), { code });
}
