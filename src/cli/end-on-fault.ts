// The end of a process in which something went wrong that nobody expected.
import type { Logger } from "../plugin/upstream-type.ts";
import { exitCodes } from "./exit.ts";

/** A fault that nobody caught leaves us in an unknown state: say it and end, so that whoever watches over us can start us again. */
export function endOnFault(log: Logger, kill: () => void): void {
  const end = (error: unknown) => {
    log.error({ error: String((error as Error)?.stack ?? error) }, "a fault of ours; ending");
    kill();
    process.exit(exitCodes.fault);
  };
  process.on("uncaughtException", end);
  process.on("unhandledRejection", end);
}
