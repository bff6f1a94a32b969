// What a request costs a proxy: its CPU time while the backend answers so many. The backend counts, and only once connections are open: handshakes and
// warm-up are no part of it.

import { connect } from "node:net";
import { setTimeout as delay } from "node:timers/promises";
import { startLoad } from "./closed-loop.ts";
import { cpuSeconds, stop } from "./processes.ts";
import type { Ports, Shape } from "./shapes.ts";

/** A proxy under way. */
export interface Running {
  readonly ports: Ports;
  readonly pid: number;
  readonly backend: number;
}

export interface Cost {
  readonly micros: number;
  readonly perSecond: number;
}

/** Until connections are open and code is warm. */
const leadMs = 500;

export async function costOf(shape: Shape, { ports, pid, backend }: Running, seconds: number): Promise<Cost> {
  const load = startLoad(shape, ports, Math.ceil(seconds + leadMs / 1_000) + 10);
  try {
    await delay(leadMs);
    const before = { at: performance.now(), cpu: cpuSeconds(pid), requests: await answered(backend) };
    await delay(seconds * 1_000);
    const [cpu, requests] = [cpuSeconds(pid) - before.cpu, (await answered(backend)) - before.requests];
    if (requests < 10) throw new Error(`${requests} requests of ${shape.name} came through in ${seconds} s`);
    return { micros: (cpu / requests) * 1e6, perSecond: (requests / (performance.now() - before.at)) * 1_000 };
  } finally {
    await stop(load);
  }
}

/** How many requests the backend has answered. */
function answered(backend: number): Promise<number> {
  return new Promise((resolve, reject) => {
    const socket = connect(backend, "127.0.0.1", () => socket.write("GET /answered HTTP/1.1\r\n\r\n"));
    socket.on("error", reject);
    socket.on("data", (data) => {
      socket.destroy();
      resolve(Number(data.toString("latin1").split("\r\n\r\n")[1]));
    });
  });
}
