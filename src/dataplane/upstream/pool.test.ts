// What a pool does with the sockets that it opens.

import type { Socket } from "node:net";
import { createServer } from "node:tls";
import { expect, test } from "vitest";
import { compileCluster } from "../compile/cluster.ts";
import { certificates } from "../testing/certificates.ts";
import { staticCluster } from "../testing/resources.ts";
import { ClusterRuntime } from "./cluster.ts";
import { Host } from "./host.ts";
import { TlsClient } from "./tls.ts";

/** Keeps what node:tls listens to on a socket of its own. */
class WatchedHost extends Host {
  socket: Socket | undefined;
  listeners: unknown[] = [];

  override open(...args: Parameters<Host["open"]>): ReturnType<Host["open"]> {
    const opened = super.open(...args);
    this.socket = opened.socket;
    this.listeners = [...opened.socket.listeners("close"), ...opened.socket.listeners("error")];
    return opened;
  }
}

test("node:tls keeps what it listens to, so that it frees what belongs to a connection as soon as that is closed", async () => {
  using made = certificates();
  const { certificate: cert, key } = made.selfSigned("a");
  const server = createServer({ cert, key });
  await new Promise<void>((resolve) => server.listen(0, "127.0.0.1", resolve));
  const { port } = server.address() as { port: number };
  const config = compileCluster(staticCluster("a", [port]).bytes);
  const cluster = new ClusterRuntime(config, undefined, { secret: () => undefined, onDns: () => undefined });
  const [spec] = config.inline.endpoints;
  if (spec === undefined) throw new Error("no endpoint");
  const host = new WatchedHost(cluster, "127.0.0.1", spec, new TlsClient(plainTls, spec, () => undefined));
  await new Promise<void>((resolve, reject) =>
    host.acquire({ onConnection: () => resolve(), onNoConnection: (_, detail) => reject(new Error(detail)) }, false, "http1"),
  );
  const now = [...(host.socket?.listeners("close") ?? []), ...(host.socket?.listeners("error") ?? [])];
  expect(host.listeners.length).toBeGreaterThan(0);
  expect(now).toEqual(expect.arrayContaining(host.listeners));
  host.destroy();
  cluster.destroy();
  server.close();
});

const plainTls = {
  sni: "",
  autoSni: false,
  certificate: undefined,
  certificateSecret: undefined,
  validation: undefined,
  validationSecret: undefined,
  secretSources: [],
  alpn: [],
  minVersion: undefined,
  maxVersion: undefined,
  suites: {},
};
