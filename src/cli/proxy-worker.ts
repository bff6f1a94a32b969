// One of the processes of `headworks proxy --workers`.
import { runWorker } from "../dataplane/workers/worker.ts";
import { CommandError, exitCodes } from "./exit.ts";

export async function proxyWorker(): Promise<never> {
  const work = runWorker();
  if (work === undefined) throw new CommandError("this is started by `headworks proxy --workers N`, and by nobody else");
  await work;
  // Whatever is still open was given its time.
  process.exit(exitCodes.ok);
}
