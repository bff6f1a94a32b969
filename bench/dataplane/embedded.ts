// The embedded data plane alone in a process: `embedded.ts PORT BACKEND_PORT`.

import { createDataPlane } from "../../src/dataplane/dataplane.ts";
import { listener, routeConfig, staticCluster, testProxy, toCluster } from "../../src/dataplane/testing/resources.ts";

const [port, backend] = process.argv.slice(2).map(Number) as [number, number];
const plane = createDataPlane({ proxy: testProxy });
plane.publish(testProxy, {
  upserts: [
    staticCluster("backend", [backend]),
    routeConfig([{ name: "all", domains: ["*"], routes: [toCluster("backend")] }]),
    listener(port, { useRemoteAddress: true }),
  ],
  removals: [],
});
await plane.settled();
console.log("ready");
