// A data plane that is given its resources by somebody who wants to hear what it does not take.
import type { ProxyKey, RefusedResource, ResourceChanges } from "../../model/envoy-resource.ts";
import { createDataPlane, type DataPlane, type DataPlaneOptions } from "../dataplane.ts";
import type { Executor, ExecutorOptions } from "./executor.ts";

/** There is one proxy to a process: its name is of no effect. */
const proxy: ProxyKey = "xds~proxy";

/** Applies within the call. */
export class LocalTaker {
  readonly plane: DataPlane;
  readonly #refused: RefusedResource[] = [];

  constructor({ log, onProblems, listen }: ExecutorOptions & Pick<DataPlaneOptions, "listen">) {
    this.plane = createDataPlane({
      proxy,
      onProblems,
      onRefused: ({ typeUrl, name }, reason) => this.#refused.push({ typeUrl, name, reason }),
      // Errors are refusals, and told by who hears of them.
      log: (level, message) => level !== "error" && log(level, message),
      ...(listen && { listen }),
    });
  }

  apply(changes: ResourceChanges): readonly RefusedResource[] {
    this.plane.publish(proxy, changes);
    return this.#refused.splice(0);
  }
}

export function inThisProcess(options: ExecutorOptions): Executor {
  const taker = new LocalTaker(options);
  const { plane } = taker;
  return {
    apply: async (changes) => taker.apply(changes),
    check: async (resource) => plane.check(resource),
    settled: () => plane.settled(),
    stats: async () => plane.stats(),
    listeners: async () => plane.listeners(),
    workers: () => [],
    drain: (graceMs) => plane.drain(graceMs),
    kill: () => {},
  };
}
