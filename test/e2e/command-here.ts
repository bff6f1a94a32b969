// A command in this process: for tests that run many of them, and look at what is printed, at the exit code and at files. Whatever is
// about the process itself (stdin, signals, pipes) wants headworks.ts. One at a time.
import { main } from "../../src/cli/program.ts";
import type { Ended } from "./headworks.ts";

export async function commandHere(args: readonly string[], env: Readonly<Record<string, string>> = {}): Promise<Ended> {
  const texts = { stdout: "", stderr: "" };
  const undo: (() => void)[] = [];
  for (const name of ["stdout", "stderr"] as const) {
    const stream = process[name];
    const { write } = stream;
    const listeners = new Set(stream.listeners("error"));
    stream.write = ((chunk: string | Uint8Array) => {
      texts[name] += chunk.toString();
      return true;
    }) as typeof write;
    undo.push(() => {
      stream.write = write;
      for (const each of stream.listeners("error")) if (!listeners.has(each)) stream.off("error", each as () => void);
    });
  }
  const variables = { NO_COLOR: "1", ...env };
  const before = { ...process.env };
  const { exitCode } = process;
  Object.assign(process.env, variables);
  process.exitCode = undefined;
  try {
    await main(["node", "headworks", ...args]);
    return { code: Number(process.exitCode ?? 0), signal: null, ...texts };
  } finally {
    process.exitCode = exitCode;
    for (const each of undo) each();
    for (const name of Object.keys(variables)) {
      if (before[name] === undefined) delete process.env[name];
      else process.env[name] = before[name];
    }
  }
}
