// The sockets that listeners need: opened, kept while an address stays, closed when nobody asks for it any more.
//
// A Gateway that moves to another address is served at the one before until the new one is bound, which may be never: somebody else
// may have it. What is served there is the newest, not what was there before.

import { problem } from "../model/problem.ts";
import type { ResourceKey } from "../model/ref.ts";
import { addressKey, type CompiledListener, type ListenAddress } from "./compile/listener.ts";
import type { Entry } from "./compiled-resources.ts";
import { ownersOfListener, type ProblemBook } from "./problems.ts";
import { ListeningSocket, type SocketEnvironment } from "./socket.ts";
import { AllTcpStats } from "./tcp/tcp-stats.ts";

export interface ListenerInfo {
  readonly name: string;
  readonly address: string;
  /** The port that it is bound to; the one asked for while it is not. */
  readonly port: number;
  readonly state: "binding" | "bound" | "failed" | "not served";
  readonly error?: string;
  /** Where its Gateway was before, and is still served. */
  readonly meanwhile?: { readonly address: string; readonly port: number };
}

interface Wanted {
  readonly address: ListenAddress;
  readonly listener: CompiledListener;
  readonly owner: ResourceKey | undefined;
}

export interface SocketsEnvironment extends Omit<SocketEnvironment, "onChange" | "tcpStats"> {
  readonly problems: ProblemBook;
  readonly bindOverride: ((listener: string, address: ListenAddress) => ListenAddress) | undefined;
  readonly log: (level: "info" | "warn" | "error", message: string) => void;
  /** The problems changed. */
  readonly onProblems: () => void;
}

export class ListeningSockets {
  readonly #environment: SocketsEnvironment;
  #listeners: readonly Entry<CompiledListener>[] = [];
  /** By address. */
  readonly #sockets = new Map<string, ListeningSocket>();
  /** By address, what is to listen there. */
  #wanted: ReadonlyMap<string, Wanted> = new Map();
  /** By address, whose it is or was last. */
  readonly #ownerOf = new Map<string, ResourceKey>();
  /** By an address that is not bound yet, the one that its Gateway had before. */
  readonly #meanwhile = new Map<string, ListeningSocket>();
  /** Of each listener, the key of its socket. */
  readonly #socketOf = new Map<string, string>();
  readonly #closing = new Set<ListeningSocket>();
  readonly #tcpStats = new AllTcpStats();
  #settling: (() => void)[] = [];

  constructor(environment: SocketsEnvironment) {
    this.#environment = environment;
  }

  /** Serves these listeners and no others. */
  apply(listeners: readonly Entry<CompiledListener>[]): void {
    this.#listeners = listeners;
    this.#wanted = this.#addresses();
    this.#closeUnwanted();
    for (const [key, { address, listener, owner }] of this.#wanted) {
      if (owner === undefined) this.#ownerOf.delete(key);
      else this.#ownerOf.set(key, owner);
      const known = this.#sockets.get(key);
      if (known === undefined) this.#open(key, address, listener);
      else known.chains = listener.chains;
    }
  }

  #closeUnwanted(): void {
    this.#meanwhile.clear();
    for (const [key, socket] of this.#sockets) {
      if (this.#wanted.has(key)) continue;
      const successor = socket.state === "bound" ? this.#successorOf(key, socket) : undefined;
      if (successor === undefined) this.#close(key, socket);
      else {
        socket.chains = this.#wanted.get(successor)?.listener.chains;
        this.#meanwhile.set(successor, socket);
      }
    }
  }

  /** The address that the Gateway of this socket moves to, as long as it is not bound. */
  #successorOf(key: string, socket: ListeningSocket): string | undefined {
    const owner = this.#ownerOf.get(key);
    if (owner === undefined) return undefined;
    for (const [other, { owner: its, address }] of this.#wanted) {
      if (its !== owner || this.#sockets.get(other)?.state === "bound") continue;
      // Two sockets of ours cannot have the port of all addresses and of one: only then the old one goes first.
      if (!isInTheWay(socket.address, address)) return other;
    }
    return undefined;
  }

  #close(key: string, socket: ListeningSocket): void {
    this.#sockets.delete(key);
    this.#ownerOf.delete(key);
    this.#environment.problems.delete(`socket ${key}`);
    this.#closing.add(socket);
    socket.close();
    void socket.empty().then(() => this.#closing.delete(socket));
  }

  #addresses(): Map<string, Wanted> {
    const wanted = new Map<string, Wanted>();
    this.#socketOf.clear();
    for (const { compiled, resource } of this.#listeners) {
      if (compiled.address === undefined || compiled.chains === undefined) continue;
      const address = this.#environment.bindOverride?.(compiled.name, compiled.address) ?? compiled.address;
      // Port 0 is another port each time: such sockets belong to their listener.
      const key = address.kind === "tcp" && address.port === 0 ? `${addressKey(address)} ${compiled.name}` : addressKey(address);
      if (!wanted.has(key)) wanted.set(key, { address, listener: compiled, owner: resource.owners[0] });
      this.#socketOf.set(compiled.name, key);
    }
    return wanted;
  }

  #open(key: string, address: ListenAddress, listener: CompiledListener): void {
    const socket = new ListeningSocket(address, listener.chains, listener.backlog, {
      ...this.#environment,
      tcpStats: (prefix) => this.#tcpStats.of(prefix),
      onChange: (changed) => this.#onSocket(key, changed),
    });
    this.#sockets.set(key, socket);
    socket.bind();
  }

  #onSocket(key: string, socket: ListeningSocket): void {
    if (this.#sockets.get(key) !== socket) return;
    const { problems, log, onProblems } = this.#environment;
    const problemKey = `socket ${key}`;
    if (socket.state === "failed") {
      const isNew = !problems.has(problemKey);
      const entry = this.#listeners.find(({ compiled }) => this.#socketOf.get(compiled.name) === key);
      const message = `listener ${entry?.compiled.name}: cannot listen on ${labelOf(socket.address)}: ${socket.error?.code ?? socket.error?.message}`;
      const meanwhile = this.#meanwhile.get(key);
      const stays = meanwhile === undefined ? "" : `; requests are taken on ${labelOf(meanwhile.address)} as before until then`;
      const hint = `${bindHint(socket.error?.code)}${stays}`;
      const path = socket.error?.code === "EADDRNOTAVAIL" ? "bindAddress" : "bindPort";
      problems.set(
        problemKey,
        ownersOfListener(entry?.resource).map((owner) =>
          problem("error", owner, "ListenerNotBound", message, { hint, ...(owner?.startsWith("Gateway ") && { path }) }),
        ),
      );
      if (isNew) onProblems();
    } else if (problems.delete(problemKey)) {
      log("info", `listening on ${labelOf(socket.address)} after all`);
      onProblems();
    }
    if (socket.state === "bound") this.#closeUnwanted();
    this.#checkSettled();
  }

  info(): readonly ListenerInfo[] {
    return this.#listeners.map(({ compiled }): ListenerInfo => {
      const { address, name } = compiled;
      const text = address === undefined ? "" : address.kind === "pipe" ? address.path : address.host;
      const port = address?.kind === "tcp" ? address.port : 0;
      if (address === undefined || compiled.chains === undefined) {
        return { name, address: text, port, state: "not served", error: "no filter chain that the embedded data plane executes" };
      }
      const socket = this.#sockets.get(this.#socketOf.get(name) ?? "");
      const state = socket === undefined || socket.state === "closed" ? "failed" : socket.state;
      const before = this.#meanwhile.get(this.#socketOf.get(name) ?? "")?.address;
      const meanwhile = before?.kind === "tcp" ? { meanwhile: { address: before.host, port: before.port } } : {};
      return {
        name,
        address: text,
        port: socket?.port || port,
        state,
        ...(socket?.error && { error: socket.error.message }),
        ...meanwhile,
      };
    });
  }

  /** Of clients, whatever they speak. */
  get connections(): number {
    return [...this.#sockets.values(), ...this.#closing].reduce((sum, socket) => sum + socket.connections, 0);
  }

  stats(): Record<string, number> {
    const all: Record<string, number> = {};
    for (const socket of this.#sockets.values()) {
      const prefix = httpPrefix(socket);
      if (prefix !== undefined) socket.stats.addTo(all, `http.${prefix}`);
    }
    this.#tcpStats.writeTo(all);
    all["listener_manager.total_listeners_active"] = [...this.#sockets.values()].filter((socket) => socket.state === "bound").length;
    return all;
  }

  /** Resolves when every socket is bound or has failed to bind. */
  settled(): Promise<void> {
    return new Promise((resolve) => {
      this.#settling.push(resolve);
      this.#checkSettled();
    });
  }

  #checkSettled(): void {
    for (const socket of this.#sockets.values()) if (socket.state === "binding") return;
    for (const resolve of this.#settling.splice(0)) resolve();
  }

  /** Listens no more; at the deadline, what is still under way is cut. */
  async drain(deadlineMs: number): Promise<void> {
    const sockets = [...this.#sockets.values(), ...this.#closing];
    for (const socket of sockets) socket.close();
    let timer: NodeJS.Timeout | undefined;
    const deadline = new Promise<void>((resolve) => {
      timer = setTimeout(resolve, deadlineMs);
    });
    await Promise.race([Promise.all(sockets.map((socket) => socket.empty())), deadline]);
    clearTimeout(timer);
    for (const socket of sockets) socket.destroy();
    await Promise.all(sockets.map((socket) => socket.empty()));
    for (const resolve of this.#settling.splice(0)) resolve();
  }
}

/** Of the first chain that speaks HTTP. */
function httpPrefix({ chains }: ListeningSocket): string | undefined {
  for (const chain of [...(chains?.matched ?? []), chains?.fallback]) if (chain?.serves.kind === "http") return chain.serves.hcm.statPrefix;
  return chains === undefined ? "" : undefined;
}

function labelOf(address: ListenAddress): string {
  if (address.kind === "pipe") return address.path;
  return address.host.includes(":") ? `[${address.host}]:${address.port}` : `${address.host}:${address.port}`;
}

function isInTheWay(one: ListenAddress, other: ListenAddress): boolean {
  return one.kind === "tcp" && other.kind === "tcp" && one.port === other.port && (isAny(one.host) || isAny(other.host));
}

function isAny(host: string): boolean {
  return host === "0.0.0.0" || /^[0:]+$/.test(host);
}

function bindHint(code: string | undefined): string {
  switch (code) {
    case "EADDRINUSE":
      return "another process listens there; stop it or choose another port; it is tried again";
    case "EACCES":
      return "ports below 1024 need privileges; choose a higher one; it is tried again";
    case "EADDRNOTAVAIL":
      return "no interface of this machine has that address; it is tried again";
    default:
      return "it is tried again";
  }
}
