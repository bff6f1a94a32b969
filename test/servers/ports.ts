// Free ports on loopback.
import { createServer } from "node:net";

/** Ports that nobody listened on a moment ago; all different. */
export async function freePorts(count: number): Promise<number[]> {
  const servers = await Promise.all(
    Array.from(
      { length: count },
      () =>
        new Promise<ReturnType<typeof createServer>>((resolve, reject) => {
          const server = createServer();
          server.once("error", reject);
          server.listen(0, "127.0.0.1", () => resolve(server));
        }),
    ),
  );
  const ports = servers.map((server) => (server.address() as { port: number }).port);
  await Promise.all(servers.map((server) => new Promise((resolve) => server.close(resolve))));
  return ports;
}

export async function freePort(): Promise<number> {
  const [port] = await freePorts(1);
  return port as number;
}

/**
 * As many ports that nobody is given by chance: Linux takes the ports of connections, and those that servers leave open, from 32768 on. For
 * tests with so many listeners that one of them would find its port taken.
 */
export async function quietPorts(count: number): Promise<number[]> {
  const ports: number[] = [];
  let port = 10_000 + Math.floor(Math.random() * 15_000);
  for (; ports.length < count; port++) if (await isFree(port)) ports.push(port);
  return ports;
}

function isFree(port: number): Promise<boolean> {
  return new Promise((resolve) => {
    const server = createServer();
    server.once("error", () => resolve(false));
    server.listen(port, "127.0.0.1", () => server.close(() => resolve(true)));
  });
}
