// What a burst of work leaves behind, V8 keeps for a while: its young generation doubles up to tens of megabytes, three times over. While
// a large configuration is read that is a third of all memory; as it is read once, nothing is gained by it.
import { setFlagsFromString } from "node:v8";
import { runInNewContext } from "node:vm";

/** It stays as it is. */
export function keepYoungGenerationSmall(): void {
  setFlagsFromString("--semi-space-growth-factor=1");
}

/** As V8 has it: where requests are served, its size saves time. */
export function letYoungGenerationGrow(): void {
  setFlagsFromString("--semi-space-growth-factor=2");
}

let collect: ((options: { readonly type: "minor" }) => void) | undefined;

/** Frees what was made and dropped lately. V8 does that by itself, but lets 64 MiB of buffers gather before; nothing that can be set changes that. */
export function collectYoungGeneration(): void {
  if (collect === undefined) {
    setFlagsFromString("--expose-gc");
    collect = runInNewContext("gc") as typeof collect;
    setFlagsFromString("--no-expose-gc");
  }
  collect?.({ type: "minor" });
}
