// TCP servers and clients for tests.

import { type AddressInfo, connect, createServer, type Socket } from "node:net";
import { type ConnectionOptions, connect as connectTls, createServer as createTlsServer } from "node:tls";
import type { KeyPair } from "./certificates.ts";

export interface TcpServer extends AsyncDisposable {
  readonly port: number;
  readonly sockets: ReadonlySet<Socket>;
}

async function listening(onSocket: (socket: Socket) => void, certificate?: KeyPair): Promise<TcpServer> {
  const sockets = new Set<Socket>();
  const take = (socket: Socket) => {
    socket.on("error", () => undefined);
    onSocket(socket);
  };
  const server =
    certificate === undefined
      ? createServer({ allowHalfOpen: true }, take)
      : createTlsServer({ allowHalfOpen: true, cert: certificate.certificate, key: certificate.key }, take);
  // Below TLS, if there is any: handshakes that nobody finishes are connections too.
  server.on("connection", (socket: Socket) => {
    sockets.add(socket);
    socket.on("error", () => undefined);
    socket.on("close", () => sockets.delete(socket));
  });
  await new Promise<void>((resolve) => server.listen(0, "127.0.0.1", resolve));
  return {
    port: (server.address() as AddressInfo).port,
    sockets,
    async [Symbol.asyncDispose]() {
      for (const socket of sockets) socket.destroy();
      await new Promise((resolve) => server.close(resolve));
    },
  };
}

/** Sends everything back, and when the client has ended, a last word. */
export function echoServer(lastWord = "", certificate?: KeyPair): Promise<TcpServer> {
  return listening((socket) => {
    socket.pipe(socket, { end: false });
    socket.on("end", () => void socket.end(lastWord));
  }, certificate);
}

/** Speaks first, and ends. */
export function greetingServer(greeting: string): Promise<TcpServer> {
  return listening((socket) => {
    socket.resume();
    socket.end(greeting);
  });
}

/** Takes connections and says nothing. */
export function silentServer(): Promise<TcpServer> {
  return listening((socket) => {
    socket.resume();
    socket.on("end", () => void socket.end());
  });
}

export interface Said {
  readonly text: string;
  /** How the connection came to its end. */
  readonly end: "ended" | "reset";
}

export interface TalkOptions {
  readonly tls?: ConnectionOptions;
  /** The client does not end first. */
  readonly staysOpen?: boolean;
  /** It ends when it has heard something. */
  readonly endsWhenAnswered?: boolean;
}

/** Says something, ends its side, and hears the other out. */
export function talk(
  port: number,
  bytes: string | Buffer,
  { tls, staysOpen = false, endsWhenAnswered = false }: TalkOptions = {},
): Promise<Said> {
  return new Promise((resolve) => {
    const target = { port, host: "127.0.0.1", allowHalfOpen: true };
    const socket: Socket = tls === undefined ? connect(target) : connectTls({ rejectUnauthorized: false, ...target, ...tls });
    socket.allowHalfOpen = true;
    const parts: Buffer[] = [];
    let end: Said["end"] = "reset";
    if (staysOpen || endsWhenAnswered) socket.write(bytes);
    else socket.end(bytes);
    socket.on("data", (data) => {
      parts.push(data);
      if (endsWhenAnswered) socket.end();
    });
    socket.on("end", () => {
      end = "ended";
      socket.end();
    });
    socket.on("error", () => undefined);
    socket.on("close", () => resolve({ text: Buffer.concat(parts).toString("latin1"), end }));
  });
}
