// Reads the beginning of a new connection, as far as something can be told from it, and puts back what others are to read.
import type { Socket } from "node:net";

/** Envoy's listener_filters_timeout: who says nothing for so long is sent away. */
const limitMs = 15_000;

/** What was told, and how many bytes of it nobody else is to read. */
export interface Told<T> {
  readonly size: number;
  readonly value: T;
}

/** Calls `then` once, with the connection paused; one that ends before, says nothing for too long or is refused is closed. */
export function readFirstBytes<T>(socket: Socket, read: (data: Buffer) => Told<T> | "more" | "refused", then: (value: T) => void): void {
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
    const told = read(data);
    if (told === "more") return;
    stop();
    if (told === "refused") {
      socket.destroy();
      return;
    }
    socket.pause();
    if (told.size < data.length) socket.unshift(data.subarray(told.size));
    then(told.value);
  };
  socket.on("data", onData);
  socket.on("end", onEnd);
  socket.on("close", stop);
}
