// `npm start`: sets itself up, then runs the demo (or, with arguments, any command of the CLI).
import { spawn } from "node:child_process";
import { join } from "node:path";
import { root, setUp } from "./setup.mjs";

const args = process.argv.slice(2);
const child = spawn(setUp(), [join(root, "src/main.ts"), ...(args.length > 0 ? args : ["demo"])], { stdio: "inherit" });

// Ctrl-C reaches the child by itself (it is in our process group); it drains, and we end when it has.
for (const signal of ["SIGINT", "SIGTERM", "SIGHUP"]) {
  process.on(signal, () => {
    if (signal !== "SIGINT" || !process.stdin.isTTY) child.kill(signal);
  });
}
child.on("exit", (code, signal) => process.exit(code ?? (signal === "SIGINT" ? 130 : 143)));
