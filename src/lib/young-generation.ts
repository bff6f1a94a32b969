// What a burst of work leaves behind, V8 keeps for a while: its young generation doubles up to tens of megabytes, three times over. While
// a large configuration is read that is a third of all memory; as it is read once, nothing is gained by it.
import { setFlagsFromString } from "node:v8";

/** It stays as it is. */
export function keepYoungGenerationSmall(): void {
  setFlagsFromString("--semi-space-growth-factor=1");
}

/** As V8 has it: where requests are served, its size saves time. */
export function letYoungGenerationGrow(): void {
  setFlagsFromString("--semi-space-growth-factor=2");
}
