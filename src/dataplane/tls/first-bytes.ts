// Reads as much of a new connection as tells who it is for, and puts it back.

import type { Socket } from "node:net";
import { type Hello, readHello } from "./client-hello.ts";

/** Envoy's listener_filters_timeout: who says nothing for so long is sent away. */
const limitMs = 15_000;

/** Calls back once, unless the connection ends before. */
export function readFirstBytes(socket: Socket, onHello: (hello: Hello) => void): void {
  let data: Buffer = Buffer.alloc(0);
  const timer = setTimeout(() => socket.destroy(), limitMs);
  const stop = () => {
    clearTimeout(timer);
    socket.off("data", onData);
    socket.off("end", onEnd);
    socket.off("close", stop);
  };
  const onEnd = () => void socket.destroy();
  const onData = (chunk: Buffer) => {
    data = data.length === 0 ? chunk : Buffer.concat([data, chunk]);
    const hello = readHello(data);
    if (hello === undefined) return;
    stop();
    socket.pause();
    socket.unshift(data);
    onHello(hello);
  };
  socket.on("data", onData);
  socket.on("end", onEnd);
  socket.on("close", stop);
}
