// Asks a gRPC server what it serves: the names of its services, and the files that describe them with all that those import. Bounded in
// files, bytes and time; the server may be hostile.
import { fromBinary, toBinary } from "@bufbuild/protobuf";
import {
  type FileDescriptorProto,
  FileDescriptorProtoSchema,
  file_google_protobuf_any,
  file_google_protobuf_descriptor,
  file_google_protobuf_duration,
  file_google_protobuf_empty,
  file_google_protobuf_field_mask,
  file_google_protobuf_struct,
  file_google_protobuf_timestamp,
  file_google_protobuf_wrappers,
} from "@bufbuild/protobuf/wkt";
import { Client, type ClientDuplexStream, credentials, Metadata, status } from "@grpc/grpc-js";
import type { FunctionTarget } from "../../plugin/function-kind.ts";
import { decodeReply, encodeQuestion, type Question, type Reply } from "./messages.ts";

export interface ReflectionLimits {
  readonly maxBytes: number;
  readonly maxFiles: number;
  readonly maxServices: number;
  readonly timeoutMs: number;
}

export const reflectionLimits: ReflectionLimits = { maxBytes: 8 * 1024 * 1024, maxFiles: 2_000, maxServices: 500, timeoutMs: 30_000 };

export interface Reflected {
  /** Sorted, without those of reflection itself. */
  readonly services: readonly string[];
  /** FileDescriptorProtos, each after what it imports. */
  readonly files: readonly Uint8Array[];
}

const versions = ["v1", "v1alpha"];

/** Undefined when the server has no reflection. Throws when nobody answers, and when an answer breaks a limit. */
export async function reflect(target: FunctionTarget, signal: AbortSignal, limits = reflectionLimits): Promise<Reflected | undefined> {
  const client = clientOf(target, limits);
  const deadline = AbortSignal.any([signal, AbortSignal.timeout(limits.timeoutMs)]);
  try {
    for (const version of versions) {
      const session = new Session(client, `/grpc.reflection.${version}.ServerReflection/ServerReflectionInfo`, deadline, limits);
      try {
        return await read(session, limits);
      } catch (fault) {
        if ((fault as { code?: unknown }).code !== status.UNIMPLEMENTED) throw fault;
      } finally {
        session.end();
      }
    }
    return undefined;
  } finally {
    client.close();
  }
}

async function read(session: Session, limits: ReflectionLimits): Promise<Reflected> {
  const listed = await session.ask({ kind: "services" });
  if (listed.kind !== "services") throw new Error("the server listed no services");
  const services = [...new Set(listed.names)].filter((name) => !name.startsWith("grpc.reflection.")).sort();
  if (services.length > limits.maxServices) throw new Error(`the server has more than ${limits.maxServices} services`);
  const files = new Map<string, File>();
  for (const symbol of services) add(files, await session.ask({ kind: "fileOfSymbol", symbol }), symbol, limits);
  for (;;) {
    const missing = [...files.values()].flatMap(({ imports }) => imports).find((name) => !files.has(name));
    if (missing === undefined) break;
    const known = wellKnown.get(missing);
    const reply: Reply = known ? { kind: "files", files: [known()] } : await session.ask({ kind: "file", name: missing });
    add(files, reply, missing, limits);
    if (!files.has(missing)) throw new Error(`the server does not have ${JSON.stringify(missing.slice(0, 200))}, which its files import`);
  }
  return { services, files: inOrder(files) };
}

interface File {
  readonly bytes: Uint8Array;
  readonly imports: readonly string[];
}

function add(files: Map<string, File>, reply: Reply, what: string, limits: ReflectionLimits): void {
  if (reply.kind === "error") throw new Error(`the server says of ${JSON.stringify(what.slice(0, 200))}: ${JSON.stringify(reply.message)}`);
  if (reply.kind !== "files") throw new Error("the server answered something else than was asked");
  for (const bytes of reply.files) {
    const { name, dependency } = parsed(bytes);
    if (files.has(name)) continue;
    files.set(name, { bytes, imports: dependency });
    if (files.size > limits.maxFiles) throw new Error(`the server has more than ${limits.maxFiles} files`);
  }
}

function parsed(bytes: Uint8Array): FileDescriptorProto {
  try {
    return fromBinary(FileDescriptorProtoSchema, bytes);
  } catch {
    throw new Error("the server sent a descriptor that is none");
  }
}

/** Imports first, as Envoy reads them; without recursion, whatever the imports are. */
function inOrder(files: ReadonlyMap<string, File>): Uint8Array[] {
  const done = new Set<string>();
  const open = new Set<string>();
  const ordered: Uint8Array[] = [];
  for (const first of [...files.keys()].sort()) {
    const stack = [first];
    for (let name = stack.at(-1); name !== undefined; name = stack.at(-1)) {
      const file = files.get(name);
      const next = file?.imports.find((each) => !done.has(each));
      if (done.has(name)) stack.pop();
      else if (next !== undefined) {
        if (open.has(next) || next === name) throw new Error("files of the server import each other in a circle");
        open.add(name);
        stack.push(next);
      } else {
        done.add(name);
        open.delete(name);
        if (file) ordered.push(file.bytes);
        stack.pop();
      }
    }
  }
  return ordered;
}

/** Servers need not have these. */
const wellKnown: ReadonlyMap<string, () => Uint8Array> = new Map(
  [
    file_google_protobuf_any,
    file_google_protobuf_descriptor,
    file_google_protobuf_duration,
    file_google_protobuf_empty,
    file_google_protobuf_field_mask,
    file_google_protobuf_struct,
    file_google_protobuf_timestamp,
    file_google_protobuf_wrappers,
  ].map(({ proto }) => [proto.name, () => toBinary(FileDescriptorProtoSchema, proto)]),
);

/** One stream: a question, its answer, the next question. */
class Session {
  readonly #call: ClientDuplexStream<Buffer, Buffer>;
  readonly #maxBytes: number;
  #received = 0;
  #waiting: { readonly resolve: (reply: Reply) => void; readonly reject: (fault: unknown) => void } | undefined;
  #fault: unknown;

  constructor(client: Client, method: string, signal: AbortSignal, { maxBytes }: ReflectionLimits) {
    this.#maxBytes = maxBytes;
    const asIs = (bytes: Buffer) => bytes;
    this.#call = client.makeBidiStreamRequest(method, asIs, asIs, new Metadata(), {});
    this.#call.on("data", (bytes: Buffer) => this.#answered(bytes));
    this.#call.on("error", (fault) => this.#fail(fault));
    this.#call.on("end", () => this.#fail(new Error("the server ended the stream of reflection")));
    if (signal.aborted) this.#late();
    else signal.addEventListener("abort", () => this.#late(), { once: true });
  }

  ask(question: Question): Promise<Reply> {
    return new Promise((resolve, reject) => {
      if (this.#fault !== undefined) reject(this.#fault);
      else {
        this.#waiting = { resolve, reject };
        this.#call.write(encodeQuestion(question));
      }
    });
  }

  end(): void {
    this.#call.cancel();
  }

  #answered(bytes: Buffer): void {
    this.#received += bytes.length;
    const waiting = this.#waiting;
    this.#waiting = undefined;
    if (this.#received > this.#maxBytes) this.#fail(new Error(`the server sent more than ${this.#maxBytes} bytes`), waiting);
    else if (waiting === undefined) this.#fail(new Error("the server answers without being asked"));
    else
      try {
        waiting.resolve(decodeReply(bytes));
      } catch {
        this.#fail(new Error("the server's answer is no message of reflection"), waiting);
      }
  }

  #late(): void {
    this.#fail(new Error("the server did not answer in time"));
  }

  #fail(fault: unknown, waiting = this.#waiting): void {
    this.#fault ??= fault;
    this.#waiting = undefined;
    waiting?.reject(fault);
    this.#call.cancel();
  }
}

function clientOf({ address, port, authority, tls }: FunctionTarget, { maxBytes }: ReflectionLimits): Client {
  const channel = tls
    ? credentials.createSsl(bufferOf(tls.ca), bufferOf(tls.key), bufferOf(tls.cert), { rejectUnauthorized: tls.ca !== undefined })
    : credentials.createInsecure();
  const where = port === undefined ? `unix:${address}` : address.includes(":") ? `ipv6:[${address}]:${port}` : `ipv4:${address}:${port}`;
  return new Client(where, channel, {
    "grpc.max_receive_message_length": maxBytes,
    "grpc.default_authority": tls?.sni ?? authority,
    ...(tls?.sni !== undefined && { "grpc.ssl_target_name_override": tls.sni }),
    "grpc.enable_retries": 0,
    "grpc.enable_http_proxy": 0,
    "grpc.service_config_disable_resolution": 1,
    "grpc.use_local_subchannel_pool": 1,
  });
}

function bufferOf(pem: string | undefined): Buffer | null {
  return pem === undefined ? null : Buffer.from(pem);
}
