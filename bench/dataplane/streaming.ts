// A gibibyte through a proxy, down and up, and how much more memory the proxy held for it.

import { request as httpRequest } from "node:http";
import { connect as connectHttp2 } from "node:http2";
import { request as httpsRequest } from "node:https";
import type { Readable, Writable } from "node:stream";
import { forgetPeak, peakMiB, residentMiB } from "./processes.ts";
import { type Ports, type Shape, streamedBytes } from "./shapes.ts";

const piece = Buffer.alloc(65_536, "x");

/** MiB, at the most, beyond what it held before. */
export async function growthMiB(shape: Shape, ports: Ports, pid: number, direction: "down" | "up"): Promise<number> {
  const before = residentMiB(pid);
  forgetPeak(pid);
  await (direction === "down" ? download(shape, ports) : upload(shape, ports));
  return Math.max(0, peakMiB(pid) - before);
}

async function download(shape: Shape, ports: Ports): Promise<void> {
  const { body, end } = await open(shape, ports, "GET", "/stream");
  body.end();
  await received(body, streamedBytes);
  end();
}

async function upload(shape: Shape, ports: Ports): Promise<void> {
  const { body, end } = await open(shape, ports, "POST", "/");
  const answer = received(body, 1);
  for (let sent = 0; sent < streamedBytes; sent += piece.length) {
    if (!body.write(piece)) await new Promise((resolve) => body.once("drain", resolve));
  }
  body.end();
  await answer;
  end();
}

type Body = Writable & { readonly answer: Promise<Readable> };

async function open({ port, isTls, isHttp2 }: Shape, ports: Ports, method: string, path: string): Promise<{ body: Body; end: () => void }> {
  const headers = method === "POST" ? { "content-length": String(streamedBytes) } : {};
  if (isHttp2) {
    const session = connectHttp2(`${isTls ? "https" : "http"}://127.0.0.1:${ports[port]}`, {
      rejectUnauthorized: false,
      settings: { initialWindowSize: 1_048_576 },
    });
    session.once("connect", () => session.setLocalWindowSize(4_194_304));
    const stream = session.request({ ":method": method, ":path": path, ...headers });
    const failed = new Promise<never>((_, reject) => stream.once("error", reject));
    failed.catch(() => undefined);
    return {
      body: Object.assign(stream, { answer: Promise.race([Promise.resolve(stream as Readable), failed]) }),
      end: () => session.destroy(),
    };
  }
  const request = (isTls ? httpsRequest : httpRequest)({
    host: "127.0.0.1",
    port: ports[port],
    method,
    path,
    headers,
    rejectUnauthorized: false,
  });
  const answer = new Promise<Readable>((resolve, reject) => request.once("response", resolve).once("error", reject));
  return { body: Object.assign(request, { answer }) as Body, end: () => request.destroy() };
}

async function received({ answer }: Body, least: number): Promise<void> {
  let bytes = 0;
  for await (const data of await answer) bytes += (data as Buffer).length;
  if (bytes < least) throw new Error(`only ${bytes} bytes of ${least} came`);
}
