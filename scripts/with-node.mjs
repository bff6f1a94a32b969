// Sets itself up, then runs one of our TypeScript files with a Node that can: `node scripts/with-node.mjs scripts/check.ts ARGS`.
import { spawn } from "node:child_process";
import { join } from "node:path";
import { pathToFileURL } from "node:url";
import { root, setUp } from "./setup.mjs";

/** Runs a file below the repository; ends this process as that one ends. */
export function runWithNode(file, args, cwd = root) {
  const child = spawn(setUp(), [join(root, file), ...args], { stdio: "inherit", cwd });
  // Ctrl-C reaches the child by itself (it is in our process group); it drains, and we end when it has.
  for (const signal of ["SIGINT", "SIGTERM", "SIGHUP"]) {
    process.on(signal, () => {
      if (signal !== "SIGINT" || !process.stdin.isTTY) child.kill(signal);
    });
  }
  child.on("exit", (code, signal) => process.exit(code ?? (signal === "SIGINT" ? 130 : 143)));
}

if (import.meta.url === pathToFileURL(process.argv[1]).href) {
  const [file, ...args] = process.argv.slice(2);
  // npm runs scripts in the package's folder; paths on the command line of the CLI are the caller's.
  runWithNode(file, args, file === "src/main.ts" ? process.env.INIT_CWD : root);
}
