// A gRPC service of one method for tests: it keeps what it was asked, and answers what the test says.

import { once } from "node:events";
import { createServer, type IncomingHttpHeaders } from "node:http2";
import type { AddressInfo } from "node:net";
import { create, type DescMessage, fromBinary, type MessageInitShape, type MessageShape, toBinary } from "@bufbuild/protobuf";

export interface GrpcCall<Request extends DescMessage> {
  readonly headers: IncomingHttpHeaders;
  readonly message: MessageShape<Request>;
}

export interface GrpcTestService<Request extends DescMessage> extends AsyncDisposable {
  readonly port: number;
  /** What it was asked since the last time somebody looked. */
  take(): GrpcCall<Request>[];
}

/** @param answer a message, a status of gRPC, or nothing at all */
export async function grpcService<Request extends DescMessage, Response extends DescMessage>(
  request: Request,
  response: Response,
  answer: (message: MessageShape<Request>) => MessageInitShape<Response> | number | undefined,
): Promise<GrpcTestService<Request>> {
  let calls: GrpcCall<Request>[] = [];
  const server = createServer();
  const sessions = new Set<{ destroy(): void }>();
  server.on("session", (session) => sessions.add(session));
  server.on("stream", (stream, headers) => {
    const parts: Buffer[] = [];
    stream.on("error", () => undefined);
    stream.on("data", (data: Buffer) => parts.push(data));
    stream.on("end", () => {
      const message = fromBinary(request, Buffer.concat(parts).subarray(5));
      calls.push({ headers, message });
      const said = answer(message);
      if (said === undefined) return;
      if (typeof said === "number") {
        stream.respond({ ":status": 200, "content-type": "application/grpc", "grpc-status": String(said) }, { endStream: true });
        return;
      }
      stream.respond({ ":status": 200, "content-type": "application/grpc" }, { waitForTrailers: true });
      stream.on("wantTrailers", () => stream.sendTrailers({ "grpc-status": "0" }));
      const bytes = Buffer.from(toBinary(response, create(response, said)));
      const prefix = Buffer.alloc(5);
      prefix.writeUInt32BE(bytes.length, 1);
      stream.end(Buffer.concat([prefix, bytes]));
    });
  });
  server.listen(0, "127.0.0.1");
  await once(server, "listening");
  return {
    port: (server.address() as AddressInfo).port,
    take() {
      const taken = calls;
      calls = [];
      return taken;
    },
    async [Symbol.asyncDispose]() {
      for (const session of sessions) session.destroy();
      server.close();
      await once(server, "close");
    },
  };
}
