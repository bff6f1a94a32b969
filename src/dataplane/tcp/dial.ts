// One try to connect to a host, for somebody who has the connection to himself.

import type { Socket } from "node:net";
import type { Host } from "../upstream/host.ts";
import type { ProxiedClient } from "../upstream/proxy-header.ts";
import type { UpstreamFailure } from "../upstream/stream.ts";

export interface DialListener {
  onConnected(socket: Socket): void;
  onNotConnected(failure: UpstreamFailure, detail: string): void;
}

export interface Dial {
  /** Nobody waits for it any more. */
  cancel(): void;
}

/**
 * The cluster counts the connection until it is closed.
 * @param client whom it is for, where the host is told
 */
export function dial(host: Host, client: ProxiedClient, listener: DialListener): Dial {
  const { cluster } = host;
  const { stats } = cluster;
  cluster.connections++;
  cluster.pending++;
  stats.upstream_cx_total++;
  stats.upstream_rq_pending_total++;
  const { socket, connected } = host.open("tcp", undefined, client);
  socket.allowHalfOpen = true;
  host.adopt(socket);
  let isConnecting = true;
  const timer = setTimeout(() => {
    stats.upstream_cx_connect_timeout++;
    fail("connectTimeout", "connection timeout");
  }, cluster.config.connectTimeoutMs);

  const decide = () => {
    isConnecting = false;
    clearTimeout(timer);
    cluster.pending--;
  };
  const giveUp = () => {
    decide();
    cluster.connections--;
    stats.upstream_cx_destroy++;
    socket.destroy();
  };
  const fail = (failure: UpstreamFailure, detail: string) => {
    if (!isConnecting) return;
    giveUp();
    stats.upstream_cx_connect_fail++;
    listener.onNotConnected(failure, detail);
  };

  socket.once(connected, () => {
    if (!isConnecting) return;
    decide();
    stats.upstream_rq_total++;
    cluster.requests++;
    host.activeRequests++;
    socket.once("close", () => {
      cluster.connections--;
      cluster.requests--;
      host.activeRequests--;
      stats.upstream_cx_destroy++;
    });
    listener.onConnected(socket);
  });
  socket.on("error", (error: NodeJS.ErrnoException) => fail("connect", error.code ?? error.message));
  socket.on("close", () => fail("connect", "closed"));
  return {
    cancel() {
      if (isConnecting) giveUp();
    },
  };
}
