// Requests of HTTP/1.1 at a fixed rate, whether answers come or not: `paced.ts PORT CONNECTIONS RATE SECONDS` prints what share of them waited how long,
// counted from when they were due (a proxy that stalls is not asked less).

import { connect, type Socket } from "node:net";
import { ResponseCounter } from "./response-counter.ts";

const [port, connections, rate, seconds] = process.argv.slice(2).map(Number) as [number, number, number, number];
const request = Buffer.from("GET / HTTP/1.1\r\nHost: bench\r\n\r\n");
const warmUpMs = 500;
const free: Client[] = [];
/** When requests were due that no connection was free for. */
const waiting: number[] = [];
const tookMs: number[] = [];

class Client {
  readonly #socket: Socket;
  #dueAt = 0;

  constructor(socket: Socket) {
    this.#socket = socket;
    socket.setNoDelay(true);
    socket.on("error", () => undefined);
    const counter = new ResponseCounter(() => {
      if (this.#dueAt >= countedFrom) tookMs.push(performance.now() - this.#dueAt);
      const next = waiting.shift();
      if (next === undefined) free.push(this);
      else this.ask(next);
    });
    socket.on("data", (data) => counter.read(data));
  }

  ask(dueAt: number): void {
    this.#dueAt = dueAt;
    this.#socket.write(request);
  }
}

await Promise.all(
  Array.from({ length: connections }, async () => {
    const socket = connect(port, "127.0.0.1");
    await new Promise((resolve) => socket.once("connect", resolve));
    free.push(new Client(socket));
  }),
);
const start = performance.now();
const countedFrom = start + warmUpMs;
const end = countedFrom + seconds * 1_000;
let due = start;
const timer = setInterval(() => {
  const now = performance.now();
  for (; due <= now; due += 1_000 / rate) {
    const client = free.pop();
    if (client === undefined) waiting.push(due);
    else client.ask(due);
  }
  if (now < end) return;
  clearInterval(timer);
  // Those that still wait have waited at least so long.
  for (const since of waiting) tookMs.push(now - since);
  tookMs.sort((a, b) => a - b);
  const at = (part: number) => tookMs[Math.min(tookMs.length - 1, Math.floor(tookMs.length * part))] ?? Number.NaN;
  console.log(JSON.stringify({ requests: tookMs.length, p50Ms: at(0.5), p99Ms: at(0.99) }));
  process.exit(0);
}, 1);
