// One of several processes that serve the same resources on the same ports. The main process tells it everything, and it ends with it.
import type { Server } from "node:net";
import type { ListenAddress } from "../compile/listener.ts";
import { LocalTaker } from "./local.ts";
import type { FromWorker, Question, ToWorker } from "./messages.ts";

/** How long requests under way may take when the main process has gone without a word. */
const orphanGraceMs = 10_000;

/** Undefined where there is no main process. Resolves when the work is done. */
export function runWorker(): Promise<void> | undefined {
  if (process.send === undefined) return undefined;
  return new Worker().ended;
}

class Worker {
  readonly #taker = new LocalTaker({
    log: (level, message) => tell({ kind: "log", level, message }),
    onProblems: (problems) => tell({ kind: "problems", problems }),
    listen: (server, address, backlog) => this.#listen(server, address, backlog),
  });
  /** Who waits for a socket. */
  readonly #waiting = new Map<
    number,
    { readonly server: Server; readonly address: ListenAddress; readonly backlog: number; isClosed: boolean }
  >();
  readonly #servers = new Map<Server, ListenAddress>();
  readonly #ended = Promise.withResolvers<void>();
  #sockets = 0;
  #isDraining = false;

  constructor() {
    process.on("message", (message, handle) => this.#hear(message as ToWorker, handle));
    process.on("disconnect", () => void this.#drain(orphanGraceMs));
    // Ctrl-C reaches everybody in the terminal; the main process says what is to be done.
    for (const signal of ["SIGINT", "SIGTERM"]) process.on(signal, () => {});
    for (const fault of ["uncaughtException", "unhandledRejection"]) process.on(fault, (error) => endWith(error));
    tell({ kind: "started" });
  }

  get ended(): Promise<void> {
    return this.#ended.promise;
  }

  #hear(message: ToWorker, handle: unknown): void {
    switch (message.kind) {
      case "bound":
        this.#bound(message.socket, handle as { close(): void } | undefined);
        break;
      case "notBound": {
        const waiting = this.#waiting.get(message.socket);
        this.#waiting.delete(message.socket);
        if (waiting && !waiting.isClosed) waiting.server.emit("error", Object.assign(new Error(message.message), { code: message.code }));
        break;
      }
      case "drain":
        void this.#drain(message.graceMs);
        break;
      default:
        void this.#answer(message);
    }
  }

  async #answer(question: Question): Promise<void> {
    const answer = await this.#answerOf(question);
    tell({ kind: "answer", id: question.id, answer });
  }

  #answerOf(question: Question): unknown {
    const { plane } = this.#taker;
    switch (question.kind) {
      case "apply": {
        const refused = this.#taker.apply(question.asks);
        this.#releaseClosed();
        return refused;
      }
      case "check":
        return plane.check(question.asks);
      case "settled":
        return plane.settled();
      case "stats":
        return plane.stats();
      case "listeners":
        return plane.listeners();
    }
  }

  #listen(server: Server, address: ListenAddress, backlog: number): void {
    const socket = ++this.#sockets;
    const waiting = { server, address, backlog, isClosed: false };
    this.#waiting.set(socket, waiting);
    server.once("close", () => {
      waiting.isClosed = true;
    });
    tell({ kind: "listen", socket, address });
  }

  #bound(socket: number, handle: { close(): void } | undefined): void {
    const waiting = this.#waiting.get(socket);
    this.#waiting.delete(socket);
    if (waiting === undefined || waiting.isClosed || handle === undefined) {
      handle?.close();
      if (waiting) tell({ kind: "release", address: waiting.address });
      return;
    }
    this.#servers.set(waiting.server, waiting.address);
    waiting.server.listen(handle, waiting.backlog);
  }

  /** The main process keeps a socket open for as long as anybody accepts from it. */
  #releaseClosed(): void {
    for (const [server, address] of this.#servers) {
      if (server.listening) continue;
      this.#servers.delete(server);
      tell({ kind: "release", address });
    }
  }

  async #drain(graceMs: number): Promise<void> {
    if (this.#isDraining) return;
    this.#isDraining = true;
    await this.#taker.plane.drain(graceMs);
    if (process.connected) process.disconnect();
    this.#ended.resolve();
  }
}

function tell(message: FromWorker): void {
  // The main process may be gone: "disconnect" says so.
  if (process.connected) process.send?.(message, undefined, {}, () => {});
}

/** Nothing is known of what is left: another worker takes over. */
function endWith(error: unknown): void {
  const message = `a fault of ours in a worker, which ends: ${(error as Error)?.stack ?? error}`;
  setTimeout(() => process.exit(70), 1_000).unref();
  if (!process.connected) process.exit(70);
  process.send?.({ kind: "log", level: "error", message } satisfies FromWorker, undefined, {}, () => process.exit(70));
}
