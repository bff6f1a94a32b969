// Two connections that carry one another's bytes, each as fast as the other takes them. The end of one direction is passed on and leaves the other
// direction open.

import type { Socket } from "node:net";

export interface RelayListener {
  /** Something was read, or a full buffer was written at last. */
  onActivity(): void;
  onClientData(size: number): void;
  onUpstreamData(size: number): void;
  onClientPaused(): void;
  onClientResumed(): void;
}

/** Both sockets must allow to be half open. */
export function relay(client: Socket, upstream: Socket, listener: RelayListener): void {
  client.on("data", (data: Buffer) => {
    listener.onActivity();
    listener.onClientData(data.length);
    if (upstream.write(data) || upstream.destroyed) return;
    client.pause();
    listener.onClientPaused();
  });
  upstream.on("drain", () => {
    listener.onActivity();
    if (!client.isPaused()) return;
    client.resume();
    listener.onClientResumed();
  });
  upstream.on("data", (data: Buffer) => {
    listener.onActivity();
    listener.onUpstreamData(data.length);
    if (!client.write(data) && !client.destroyed) upstream.pause();
  });
  client.on("drain", () => {
    listener.onActivity();
    if (upstream.isPaused()) upstream.resume();
  });
  onEnd(client, () => upstream.end());
  onEnd(upstream, () => client.end());
  // What one has said before it was gone, the other still gets.
  client.on("close", () => flushAndClose(upstream));
  upstream.on("close", () => flushAndClose(client));
  client.resume();
  upstream.resume();
}

/** A client that ends without a byte has ended before anybody listens, though nobody reads. */
function onEnd(socket: Socket, then: () => void): void {
  if (socket.readableEnded) then();
  else socket.once("end", then);
}

function flushAndClose(socket: Socket): void {
  if (socket.destroyed) return;
  // Nobody is there any more to hear what it says; reading on tells when it is gone.
  socket.removeAllListeners("data");
  socket.resume();
  socket.destroySoon();
}
