// Ports on loopback that nobody else is given: not by the system, not by another test.
import { createServer } from "node:net";

// Linux takes the ports of connections, and those that servers leave open (port 0), from 32768 on: a port of that kind, let go to be given
// to a server, may be somebody else's by then. Below, each worker of the tests has a slice of its own, and hands out each port of it once.
const slice = 1_000;
const first = 10_000 + (Number(process.env.VITEST_POOL_ID ?? 0) % 20) * slice;
// Tests of two runs on one machine have the same slices.
const start = Math.floor(Math.random() * slice);
let handedOut = 0;

/** Ports that nobody listens on, nor will unless a test is given this one; all different. */
export async function freePorts(count: number): Promise<number[]> {
  const ports: number[] = [];
  while (ports.length < count) {
    if (handedOut === slice) throw new Error(`all ports of this worker were used: ${first}–${first + slice - 1}`);
    const port = first + ((start + handedOut++) % slice);
    if (await isFree(port)) ports.push(port);
  }
  return ports;
}

export async function freePort(): Promise<number> {
  const [port] = await freePorts(1);
  return port as number;
}

function isFree(port: number): Promise<boolean> {
  return new Promise((resolve) => {
    const server = createServer();
    server.once("error", () => resolve(false));
    server.listen(port, "127.0.0.1", () => server.close(() => resolve(true)));
  });
}
