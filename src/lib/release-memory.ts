// Gives memory back to the system after a burst of work. Reading a large configuration leaves two or three times of what is kept as
// garbage, and V8 collects it only when it needs room: an idle process would hold it for ever.
import { getHeapStatistics, setFlagsFromString } from "node:v8";
import { runInNewContext } from "node:vm";

type Collect = (options: { readonly type: "major"; readonly execution: "sync"; readonly flavor: "last-resort" }) => void;

/** Below this there is nothing to gain. */
const worthwhile = 100 * 1024 * 1024;

/** Stops the process for about 2 ms for each MB in use; for moments when nobody waits. */
export function releaseMemory(): void {
  if (getHeapStatistics().total_heap_size < worthwhile) return;
  setFlagsFromString("--expose-gc");
  const collect = runInNewContext("gc") as Collect;
  setFlagsFromString("--no-expose-gc");
  collect({ type: "major", execution: "sync", flavor: "last-resort" });
}
