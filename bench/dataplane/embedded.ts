// The embedded data plane alone in a process: `embedded.ts SERVED`, with what it serves as JSON.

import { createDataPlane } from "../../src/dataplane/dataplane.ts";
import { testProxy } from "../../src/dataplane/testing/resources.ts";
import { resources, type Served } from "./resources.ts";

const plane = createDataPlane({
  proxy: testProxy,
  onProblems: (problems) => {
    for (const { message } of problems) console.error(`embedded: ${message}`);
  },
});
plane.publish(testProxy, { upserts: resources(JSON.parse(process.argv[2] ?? "") as Served), removals: [] });
await plane.settled();
console.log("ready");
