// Sets itself up, then runs one of our TypeScript files with a Node that can: `node scripts/with-node.mjs scripts/check.ts ARGS`.
import { spawn } from "node:child_process";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { pathToFileURL } from "node:url";
import { bundledMain } from "./bundled.mjs";
import { root, setUp } from "./setup.mjs";

/** From the first line on: src/main can turn the cache on only when it has been compiled itself. The place is Node's own. */
const env = { NODE_COMPILE_CACHE: join(tmpdir(), "node-compile-cache"), ...process.env };

/** Runs a file below the repository; ends this process as that one ends. */
export function runWithNode(file, args, cwd = root) {
  const node = setUp();
  const main = file === "src/main.ts" ? bundledMain(root, node, env) : join(root, file);
  const child = spawn(node, [main, ...args], { stdio: "inherit", cwd, env });
  // Ctrl-C reaches the child by itself (it is in our process group); it drains, and we end when it has.
  for (const signal of ["SIGINT", "SIGTERM", "SIGHUP"]) {
    process.on(signal, () => {
      if (signal !== "SIGINT" || !process.stdin.isTTY) child.kill(signal);
    });
  }
  // npm's shell ends by the signal that npm hands to it, and hands it on to nobody: without this, whoever stops npm leaves us running.
  if (process.env.npm_lifecycle_event !== undefined) {
    const shell = process.ppid;
    const look = setInterval(() => {
      if (process.ppid === shell) return;
      clearInterval(look);
      child.kill();
    }, 500);
    look.unref();
  }
  child.on("exit", (code, signal) => process.exit(code ?? (signal === "SIGINT" ? 130 : 143)));
}

if (import.meta.url === pathToFileURL(process.argv[1]).href) {
  const [file, ...args] = process.argv.slice(2);
  // npm runs scripts in the package's folder; paths on the command line of the CLI are the caller's.
  runWithNode(file, args, file === "src/main.ts" ? process.env.INIT_CWD : root);
}
