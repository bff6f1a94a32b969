// The CLI as a user has it: a process, its streams, its exit code.
import { type ChildProcess, spawn } from "node:child_process";
import { join } from "node:path";

const main = [process.execPath, join(import.meta.dirname, "../../src/main.ts")];

export interface Ended {
  readonly code: number | null;
  readonly signal: NodeJS.Signals | null;
  readonly stdout: string;
  readonly stderr: string;
}

export interface Running extends AsyncDisposable {
  readonly process: ChildProcess;
  stdout(): string;
  stderr(): string;
  /** Resolves when stderr matches; rejects when the process ends before. */
  said(pattern: RegExp): Promise<RegExpExecArray>;
  readonly ended: Promise<Ended>;
}

export interface StartOptions {
  readonly env?: NodeJS.ProcessEnv;
  readonly cwd?: string;
  readonly stdin?: string;
  /** The program and its first arguments; the sources unless given. */
  readonly program?: readonly string[];
}

export function start(args: readonly string[], { env = {}, cwd, stdin, program = main }: StartOptions = {}): Running {
  const [command = "", ...first] = program;
  const child = spawn(command, [...first, ...args], {
    cwd,
    env: { ...process.env, NO_COLOR: "1", ...env },
    stdio: ["pipe", "pipe", "pipe"],
  });
  child.stdin?.on("error", () => {}); // it may end before it has read all
  child.stdin?.end(stdin ?? "");
  let stdout = "";
  let stderr = "";
  const listeners = new Set<() => void>();
  child.stdout?.setEncoding("utf8").on("data", (text: string) => {
    stdout += text;
  });
  child.stderr?.setEncoding("utf8").on("data", (text: string) => {
    stderr += text;
    for (const listener of listeners) listener();
  });
  const ended = new Promise<Ended>((resolve) => {
    child.once("close", (code, signal) => resolve({ code, signal, stdout, stderr }));
  });
  return {
    process: child,
    stdout: () => stdout,
    stderr: () => stderr,
    ended,
    said: (pattern) =>
      new Promise((resolve, reject) => {
        const look = () => {
          const match = pattern.exec(stderr);
          if (match === null) return;
          listeners.delete(look);
          resolve(match);
        };
        listeners.add(look);
        look();
        void ended.then(({ code, signal }) => reject(new Error(`ended with ${code ?? signal} before it said ${pattern}:\n${stderr}`)));
      }),
    async [Symbol.asyncDispose]() {
      child.kill("SIGKILL");
      await ended;
    },
  };
}

/** Runs a command to its end. */
export function headworks(args: readonly string[], options?: StartOptions): Promise<Ended> {
  return start(args, options).ended;
}
