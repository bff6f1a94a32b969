// As many requests as a proxy takes: each connection, or stream, asks again when it has its answer.

import type { ChildProcess } from "node:child_process";
import { join } from "node:path";
import { isOnPath, loadCore, spawnPinned } from "./processes.ts";
import { connections, http2Connections, http2Streams, type Ports, type Shape } from "./shapes.ts";

/** Goes on until it is stopped, for `mostSeconds` at the most. */
export function startLoad(shape: Shape, ports: Ports, mostSeconds: number): ChildProcess {
  const [program, ...args] = command(shape, ports[shape.port], mostSeconds);
  return spawnPinned(program as string, args, loadCore, "ignore");
}

function command(shape: Shape, port: number, seconds: number): readonly string[] {
  const url = `${shape.isTls ? "https" : "http"}://127.0.0.1:${port}/`;
  if (shape.isHttp2 && isOnPath("h2load")) return ["h2load", "-t1", `-c${http2Connections}`, `-m${http2Streams}`, `-D${seconds}`, url];
  if (!shape.isHttp2 && isOnPath("wrk")) return ["wrk", "-t1", `-c${connections}`, `-d${seconds}s`, url];
  return withNode(shape, port, seconds);
}

function withNode({ isTls, isHttp2 }: Shape, port: number, seconds: number): readonly string[] {
  const tls = isTls ? ["tls"] : [];
  const how = isHttp2 ? [http2Connections, seconds, "h2", ...tls, http2Streams] : [connections, seconds, ...tls];
  return [process.execPath, join(import.meta.dirname, "load.ts"), ...[port, ...how].map(String)];
}
