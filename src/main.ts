#!/usr/bin/env node
// The binary: argv to a command, nothing more. Compiled code is cached between runs (in the system's folder for temporary files,
// or where NODE_COMPILE_CACHE says), which halves the time that starting takes.
import { enableCompileCache } from "node:module";

enableCompileCache();
const { main } = await import("./cli/program.ts");
await main(process.argv);
// Once all is written this ends at once. By itself a process takes its memory apart first, which is 20 ms after 3,000 routes.
process.stdout.write("", (error) => {
  if (!error) process.stderr.write("", () => process.exit());
});
