// The embedded data plane in workers: `workers.ts PORT BACKEND_PORT WORKERS`; with 1, in this process. As `headworks proxy` runs it, without the stream.

import { join } from "node:path";
import { listener, routeConfig, staticCluster, toCluster } from "../../src/dataplane/testing/resources.ts";
import { inThisProcess } from "../../src/dataplane/workers/local.ts";
import { inProcesses } from "../../src/dataplane/workers/pool.ts";

const [port, backend, size] = process.argv.slice(2).map(Number) as [number, number, number];
const options = { log: () => {}, onProblems: () => {} };
const program = join(import.meta.dirname, "../../src/main.ts");
const executor = size === 1 ? inThisProcess(options) : inProcesses({ ...options, size, program, args: ["proxy", "worker"] });
await executor.apply({
  upserts: [
    staticCluster("backend", [backend]),
    routeConfig([{ name: "all", domains: ["*"], routes: [toCluster("backend")] }]),
    listener(port, { useRemoteAddress: true }),
  ],
  removals: [],
});
await executor.settled();
process.on("SIGTERM", async () => {
  await executor.drain(0);
  process.exit(0);
});
console.log("ready");
