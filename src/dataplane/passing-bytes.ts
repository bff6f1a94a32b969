// Bodies that pass through leave a buffer behind for each piece that was read. They are small objects with much behind them, so that V8 lets many of them
// gather before it looks. A gibibyte in passing should not cost tens of megabytes.

import { collectYoungGeneration } from "../lib/young-generation.ts";

/** Looking costs a millisecond or two: some percent of what it costs to pass so much on. */
const mostDropped = 8_388_608;

/** Requests and responses that come whole leave other things behind, too: enough of those for V8 to look often. */
const leastPiece = 4_096;

let dropped = 0;

/** A piece of a body was read. */
export function countPassing(bytes: number): void {
  if (bytes < leastPiece) return;
  dropped += bytes;
  if (dropped < mostDropped) return;
  dropped = 0;
  collectYoungGeneration();
}
