// What all parts of one graph share: their order, what is going on, and the log of the batch being settled.
import { BatchLog } from "./batch.ts";
import type { Table } from "./collection.ts";
import { GraphMisuse } from "./misuse.ts";
import { Tracker } from "./tracker.ts";

/** `editing`: a batch's function makes its edits. `settling`: they are carried through. `observing`: observers are told. */
export type Phase = "idle" | "editing" | "settling" | "observing";

export class Engine {
  phase: Phase = "idle";
  /** In the order of creation, which is the order of settling: each reads only those before it. */
  readonly tables: Table<unknown>[] = [];
  readonly tracker = new Tracker();
  /** Begins when the batch before has settled, so that it also tells of failures of collections created since. */
  log = new BatchLog();

  expectIdle(what: string): void {
    if (this.phase === "idle") return;
    const hint = this.phase === "observing" ? "; an observer queues it with graph.afterwards(…)" : "";
    throw new GraphMisuse(`${what} while another batch is ${this.phase}${hint}`);
  }

  expectNoComputation(what: string): void {
    const running = this.tracker.running;
    if (running !== undefined) {
      throw new GraphMisuse(`the function of "${running.name}" uses ${what}, which is not remembered; it must read through "read"`);
    }
  }
}
