// A worker that serves nothing, and does what the versions of its resources say: `refused`, `deadly` (it ends), `held` (until the file `go` is there).
import { appendFileSync, existsSync } from "node:fs";
import { join } from "node:path";
import { setTimeout as delay } from "node:timers/promises";
import type { RefusedResource, ResourceChanges } from "../../../model/envoy-resource.ts";
import type { FromWorker, ToWorker } from "../messages.ts";

const [folder = ""] = process.argv.slice(2);
const versions = new Map<string, string>();
let work: Promise<void> = Promise.resolve();

process.on("message", (message: ToWorker) => {
  work = work.then(() => hear(message));
});
process.on("disconnect", () => process.exit());
if (!existsSync(join(folder, "mute"))) say({ kind: "started" });
// After what is said: who reads it can tell that the main process has heard.
appendFileSync(join(folder, "started"), `${process.pid}\n`);

async function hear(message: ToWorker): Promise<void> {
  switch (message.kind) {
    case "apply":
      say({ kind: "answer", id: message.id, answer: await apply(message.asks) });
      break;
    case "stats":
      say({
        kind: "answer",
        id: message.id,
        answer: Object.fromEntries([...versions].map(([name, version]) => [`${name} ${version}_active`, 1])),
      });
      break;
    case "drain":
      process.exit();
      break;
    case "bound":
    case "notBound":
      break;
    default:
      say({ kind: "answer", id: message.id, answer: undefined });
  }
}

async function apply({ upserts, removals }: ResourceChanges): Promise<RefusedResource[]> {
  const refused: RefusedResource[] = [];
  for (const { typeUrl, name, version } of upserts) {
    if (version.includes("deadly")) process.exit(1);
    if (version.includes("held")) appendFileSync(join(folder, "holding"), `${process.pid}\n`);
    while (version.includes("held") && !existsSync(join(folder, "go"))) await delay(5);
    if (version.includes("refused")) refused.push({ typeUrl, name, reason: `it is ${version}` });
    else versions.set(name, version);
  }
  for (const { name } of removals) versions.delete(name);
  return refused;
}

function say(message: FromWorker): void {
  process.send?.(message);
}
