// What executes the resources that come over xDS: a data plane in this process, or in several others that share the ports.
import type { ResourceTaker } from "../../model/envoy-resource.ts";
import type { Problem } from "../../model/problem.ts";
import type { ListenerInfo } from "../listening-sockets.ts";

export interface Executor extends ResourceTaker {
  /** Resolves when every listener is bound or has failed to bind. */
  settled(): Promise<void>;
  /** Counters and gauges under Envoy's names, of all workers together. */
  stats(): Promise<Readonly<Record<string, number>>>;
  listeners(): Promise<readonly ListenerInfo[]>;
  /** Empty when this process does the work. */
  workers(): readonly WorkerInfo[];
  /** Listens no more; resolves when what is under way is done, or after so long. */
  drain(graceMs: number): Promise<void>;
  /** Ends at once what would outlive this process. */
  kill(): void;
}

export interface WorkerInfo {
  readonly pid: number;
  /** It has all that there is, and takes requests. */
  readonly isReady: boolean;
  /** Seconds. */
  readonly age: number;
}

export interface ExecutorOptions {
  readonly log: (level: "info" | "warn" | "error", message: string) => void;
  /** What is not executed, and what does not work; replaces what was said before. */
  readonly onProblems: (problems: readonly Problem[]) => void;
}
