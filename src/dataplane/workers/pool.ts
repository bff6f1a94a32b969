// Several processes that serve the same resources on the same ports, so that more cores than one are used. This one tells them what to serve, binds
// their sockets, adds up what they count, and replaces those that end.
//
// A batch is in force when every worker has it. What is there is kept here as well: a worker that takes the place of another needs nobody else.
import { type ChildProcess, fork } from "node:child_process";
import type { Readable } from "node:stream";
import { setTimeout as delay } from "node:timers/promises";
import { type EnvoyResource, kindOf, type RefusedResource, type ResourceChanges, resourceKeyOf } from "../../model/envoy-resource.ts";
import { BoundSockets } from "./bound-sockets.ts";
import type { Executor, ExecutorOptions, WorkerInfo } from "./executor.ts";
import { limitsIn } from "./limits.ts";
import type { FromWorker, Questions, ToWorker } from "./messages.ts";
import { countersOf, sumOf } from "./statistics.ts";

export interface PoolOptions extends ExecutorOptions {
  readonly size: number;
  /** The program and its arguments that call `runWorker`. */
  readonly program: string;
  readonly args: readonly string[];
  /** A worker that does not start or answer within it is stuck. */
  readonly stuckMs?: number;
}

interface Worker {
  readonly child: ChildProcess;
  readonly startedAt: number;
  /** By the id of the question. */
  readonly awaited: Map<number, (answer: unknown) => void>;
  /** It has what there was when it came. */
  readonly joined: Promise<void>;
  readonly ended: Promise<void>;
  isJoined: boolean;
  isReady: boolean;
  stats: Readonly<Record<string, number>>;
}

/** A worker that lived this long did not fail at its start; the next is started at once. */
const healthyMs = 5_000;
const firstWaitMs = 100;
const lastWaitMs = 5_000;

/** The largest configurations take seconds, and more when all workers of a busy machine take them at once. */
const defaultStuckMs = 60_000;

/** Who asks for numbers has little patience; those of a worker that is busy or stuck are then the ones it gave last. */
const numbersMs = 1_000;

/** A batch on which all workers end is tried again, since they may have ended for another reason; and then is refused. */
const mostTrials = 2;

/** What may still be written and closed after the time that requests under way were given. */
const goodbyeMs = 2_000;

export function inProcesses(options: PoolOptions): Executor {
  return new WorkerPool(options);
}

class WorkerPool implements Executor {
  readonly #options: PoolOptions;
  /** In force: taken by those who were asked. */
  readonly #resources = new Map<string, EnvoyResource>();
  /** The batch that workers are asked to take; who joins meanwhile waits, since nobody knows yet what of it is in force. */
  #applying: Promise<unknown> | undefined;
  readonly #sockets = new BoundSockets();
  readonly #workers = new Set<Worker>();
  readonly #stopped = new AbortController();
  readonly #startedAt = Date.now();
  readonly #stuckMs: number;
  /** Counted by workers that have ended. */
  #departed: Record<string, number> = {};
  readonly #warned = new Set<string>();
  #questions = 0;
  /** Called when a worker has joined, or there will be none. */
  readonly #whenSome: (() => void)[] = [];

  constructor(options: PoolOptions) {
    this.#options = options;
    this.#stuckMs = options.stuckMs ?? defaultStuckMs;
    for (let index = 0; index < options.size; index++) void this.#fill();
  }

  async apply(changes: ResourceChanges): Promise<readonly RefusedResource[]> {
    this.#warnOfLimits(changes);
    for (let trial = 1; ; trial++) {
      await this.#some();
      if (this.#stopped.signal.aborted) return [];
      const applying = this.#applyOnce(changes, trial === mostTrials);
      this.#applying = applying;
      const refused = await applying.finally(() => {
        this.#applying = undefined;
      });
      if (refused !== undefined) return refused;
    }
  }

  /** Undefined when nobody lived to answer, and it is to be tried again. */
  async #applyOnce(changes: ResourceChanges, isLast: boolean): Promise<readonly RefusedResource[] | undefined> {
    const answers = await this.#askAll("apply", changes);
    if (answers.length === 0) return isLast ? this.#refuse(changes) : undefined;
    const refused = new Map(answers.flat().map((each) => [resourceKeyOf(each), each]));
    this.#commit({ ...changes, upserts: changes.upserts.filter((each) => !refused.has(resourceKeyOf(each))) });
    return [...refused.values()];
  }

  /** Who takes the places of those who ended serves without it. What is gone is gone: nobody says so again. */
  #refuse({ upserts, removals }: ResourceChanges): RefusedResource[] {
    this.#commit({ upserts: [], removals });
    const reason = `all workers ended when they were to take it, ${mostTrials} times`;
    return upserts.map(({ typeUrl, name }) => ({ typeUrl, name, reason }));
  }

  #commit({ upserts, removals }: ResourceChanges): void {
    for (const resource of upserts) this.#resources.set(resourceKeyOf(resource), resource);
    for (const removal of removals) this.#resources.delete(resourceKeyOf(removal));
  }

  async check(resource: EnvoyResource): Promise<string | undefined> {
    await this.#some();
    for (const worker of this.#workers) {
      const answer = worker.isJoined ? await this.#ask(worker, "check", resource) : undefined;
      if (answer !== undefined) return answer;
      if (worker.isJoined && this.#workers.has(worker)) return undefined;
    }
    return undefined;
  }

  async settled(): Promise<void> {
    await Promise.all([...this.#workers].map(({ joined, ended }) => Promise.race([joined, ended])));
    await this.#askAll("settled", undefined);
  }

  async stats(): Promise<Readonly<Record<string, number>>> {
    const workers = [...this.#workers];
    await Promise.all(
      workers.map(async (worker) => {
        worker.stats = (await within(numbersMs, this.#ask(worker, "stats", undefined))) ?? worker.stats;
      }),
    );
    const living = workers.filter((worker) => this.#workers.has(worker)).map(({ stats }) => stats);
    return {
      ...sumOf([this.#departed, ...living]),
      "server.live": this.#stopped.signal.aborted ? 0 : 1,
      "server.uptime": Math.floor((Date.now() - this.#startedAt) / 1_000),
      "server.concurrency": this.#workers.size,
    };
  }

  async listeners() {
    for (const worker of this.#workers) {
      const listeners = worker.isJoined ? await within(numbersMs, this.#ask(worker, "listeners", undefined)) : undefined;
      if (listeners !== undefined) return listeners;
    }
    return [];
  }

  workers(): readonly WorkerInfo[] {
    return [...this.#workers].map(({ child, isReady, startedAt }) => ({
      pid: child.pid ?? 0,
      isReady,
      age: Math.round((performance.now() - startedAt) / 1_000),
    }));
  }

  async drain(graceMs: number): Promise<void> {
    this.#stop();
    await this.#sockets.close();
    for (const worker of this.#workers) this.#tell(worker, { kind: "drain", graceMs });
    const areGone = Promise.all([...this.#workers].map(({ ended }) => ended));
    const late = new AbortController();
    await Promise.race([areGone, delay(graceMs + goodbyeMs, undefined, { signal: late.signal }).catch(() => {})]);
    late.abort();
    this.kill();
    await areGone;
  }

  kill(): void {
    this.#stop();
    for (const { child } of this.#workers) child.kill("SIGKILL");
  }

  /** Said once of each resource. */
  #warnOfLimits({ upserts }: ResourceChanges): void {
    const { size, log } = this.#options;
    for (const resource of upserts) {
      const limits = limitsIn(resource);
      if (limits.length === 0 || this.#warned.has(resourceKeyOf(resource))) continue;
      this.#warned.add(resourceKeyOf(resource));
      const where = `${kindOf(resource.typeUrl)} ${resource.name}`;
      log(
        "warn",
        `${where} has ${limits.join(" and ")}, which each of ${size} workers counts for itself: up to ${size} times as much is let through`,
      );
    }
  }

  // — a place for a worker —

  /** Keeps one place filled. */
  async #fill(): Promise<void> {
    const { signal } = this.#stopped;
    let waitMs = firstWaitMs;
    let before: Worker | undefined;
    while (!signal.aborted) {
      const worker = this.#start();
      const place = before;
      void worker.joined.then(() => place && this.#sockets.releaseAll(place));
      await worker.ended;
      if (signal.aborted) return;
      if (before) await this.#sockets.releaseAll(before);
      before = worker;
      if (performance.now() - worker.startedAt > healthyMs) waitMs = firstWaitMs;
      else {
        await delay(waitMs, undefined, { signal }).catch(() => {});
        waitMs = Math.min(waitMs * 2, lastWaitMs);
      }
    }
  }

  #start(): Worker {
    const { program, args } = this.#options;
    const child = fork(program, [...args], { serialization: "advanced", stdio: ["ignore", "pipe", "pipe", "ipc"] });
    const joined = Promise.withResolvers<void>();
    const ended = Promise.withResolvers<void>();
    const worker: Worker = {
      child,
      startedAt: performance.now(),
      awaited: new Map(),
      joined: joined.promise,
      ended: ended.promise,
      isJoined: false,
      isReady: false,
      stats: {},
    };
    this.#workers.add(worker);
    child.on("message", (message) => this.#hear(worker, message as FromWorker, joined.resolve));
    child.on("error", (error) => this.#options.log("error", `worker ${child.pid ?? ""}: ${error.message}`));
    passLines(child.stdout, process.stdout);
    passLines(child.stderr, process.stderr);
    const starting = setTimeout(() => this.#endStuck(worker, "has not started"), this.#stuckMs).unref();
    child.once("message", () => clearTimeout(starting));
    const onEnd = (how: string) => {
      if (!this.#workers.delete(worker)) return;
      clearTimeout(starting);
      this.#departed = sumOf([this.#departed, countersOf(worker.stats)]);
      for (const resolve of worker.awaited.values()) resolve(undefined);
      if (!this.#stopped.signal.aborted)
        this.#options.log("error", `worker ${child.pid ?? ""} ended by itself (${how}); another takes its place`);
      ended.resolve();
    };
    child.once("exit", (code, signal) => onEnd(signal ?? `code ${code}`));
    child.once("error", (error) => child.pid === undefined && onEnd(error.message));
    return worker;
  }

  #hear(worker: Worker, message: FromWorker, onJoined: () => void): void {
    switch (message.kind) {
      case "started":
        void this.#join(worker).then(onJoined);
        break;
      case "answer":
        worker.awaited.get(message.id)?.(message.answer);
        worker.awaited.delete(message.id);
        break;
      case "listen":
        void this.#open(worker, message);
        break;
      case "release":
        void this.#sockets.release(message.address, worker);
        break;
      case "log":
        // All workers say the same; a fault is one's own.
        if (message.level === "error" || worker === this.#speaker) this.#options.log(message.level, message.message);
        break;
      case "problems":
        if (worker === this.#speaker) this.#options.onProblems(message.problems);
        break;
    }
  }

  /** Resolves when there is a worker that can say what it does not take. */
  #some(): Promise<void> {
    if (this.#stopped.signal.aborted || [...this.#workers].some(({ isJoined }) => isJoined)) return Promise.resolve();
    return new Promise((resolve) => this.#whenSome.push(resolve));
  }

  #stop(): void {
    this.#stopped.abort();
    for (const resolve of this.#whenSome.splice(0)) resolve();
  }

  get #speaker(): Worker | undefined {
    return this.#workers.values().next().value;
  }

  async #join(worker: Worker): Promise<void> {
    while (this.#applying !== undefined) await this.#applying;
    if (!this.#workers.has(worker)) return;
    worker.isJoined = true; // from now on it is told of changes, after what it is told here
    const all = this.#ask(worker, "apply", { upserts: [...this.#resources.values()], removals: [] });
    for (const resolve of this.#whenSome.splice(0)) resolve();
    for (const { typeUrl, name, reason } of (await all) ?? [])
      this.#options.log("error", `worker ${worker.child.pid} does not take ${kindOf(typeUrl)} ${name}, which others serve: ${reason}`);
    await this.#ask(worker, "settled", undefined);
    worker.isReady = true;
  }

  async #open(worker: Worker, { socket, address }: Extract<FromWorker, { kind: "listen" }>): Promise<void> {
    if (this.#stopped.signal.aborted) return;
    try {
      const handle = await this.#sockets.open(address, worker);
      this.#tell(worker, { kind: "bound", socket }, handle);
    } catch (error) {
      const { code = "", message } = error as NodeJS.ErrnoException;
      this.#tell(worker, { kind: "notBound", socket, code, message });
    }
  }

  // — questions —

  async #askAll<Kind extends keyof Questions>(kind: Kind, asks: Questions[Kind]["asks"]): Promise<Questions[Kind]["answer"][]> {
    const joined = [...this.#workers].filter(({ isJoined }) => isJoined);
    const answers = await Promise.all(joined.map((worker) => this.#ask(worker, kind, asks)));
    return answers.filter((answer) => answer !== undefined) as Questions[Kind]["answer"][];
  }

  /** Undefined when the worker ends before it answers. */
  #ask<Kind extends keyof Questions>(
    worker: Worker,
    kind: Kind,
    asks: Questions[Kind]["asks"],
  ): Promise<Questions[Kind]["answer"] | undefined> {
    if (!this.#workers.has(worker)) return Promise.resolve(undefined);
    const id = ++this.#questions;
    return new Promise((resolve) => {
      const timer = setTimeout(() => this.#endStuck(worker, "has not answered"), this.#stuckMs).unref();
      worker.awaited.set(id, (answer) => {
        clearTimeout(timer);
        resolve(answer as Questions[Kind]["answer"] | undefined);
      });
      this.#tell(worker, { kind, id, asks } as ToWorker);
    });
  }

  /** Nothing comes into force while one is waited for. */
  #endStuck({ child }: Worker, what: string): void {
    this.#options.log("error", `worker ${child.pid ?? ""} ${what} for ${this.#stuckMs / 1000} s; it is ended`);
    child.kill("SIGKILL");
  }

  #tell({ child }: Worker, message: ToWorker, handle?: unknown): void {
    // It may have ended a moment ago: "exit" says so.
    if (child.connected) child.send(message, handle as never, {}, () => {});
  }
}

/** Undefined when it takes longer. */
function within<T>(ms: number, answer: Promise<T>): Promise<T | undefined> {
  const late = new AbortController();
  const noAnswer = delay(ms, undefined, { signal: late.signal }).catch(() => undefined);
  return Promise.race([answer, noAnswer]).finally(() => late.abort());
}

/** Whole lines: those of several workers must not run into one another. */
function passLines(from: Readable | null, to: NodeJS.WriteStream): void {
  let rest: Buffer = Buffer.alloc(0);
  from?.on("data", (chunk: Buffer) => {
    const end = chunk.lastIndexOf(10) + 1;
    if (end === 0) {
      rest = Buffer.concat([rest, chunk]);
      return;
    }
    to.write(Buffer.concat([rest, chunk.subarray(0, end)]));
    rest = chunk.subarray(end);
  });
  from?.on("end", () => rest.length > 0 && to.write(rest));
}
