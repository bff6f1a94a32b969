// The gRPC servers of the cases in one: rate limits, authorization, access logs, traces, and a service to be called. Messages stay
// bytes: what cases look for in them is text, and the answers are short.
import { create, fromJson, toBinary } from "@bufbuild/protobuf";
import { BinaryReader, BinaryWriter, WireType } from "@bufbuild/protobuf/wire";
import {
  FileDescriptorSetSchema,
  FieldDescriptorProto_Label as Label,
  StructSchema,
  FieldDescriptorProto_Type as Type,
} from "@bufbuild/protobuf/wkt";
import {
  Server,
  ServerCredentials,
  type ServerDuplexStream,
  type ServerReadableStream,
  type ServerUnaryCall,
  type sendUnaryData,
} from "@grpc/grpc-js";

export interface GrpcEcho extends AsyncDisposable {
  readonly port: number;
  /** Of `till.v1.Till`, base64. */
  readonly descriptors: string;
  /** What each method got, as text, with the metadata. */
  readonly received: readonly { readonly method: string; readonly text: string; readonly metadata: Readonly<Record<string, unknown>> }[];
}

const asIs = (bytes: Buffer) => bytes;
const serializers = { requestSerialize: asIs, requestDeserialize: asIs, responseSerialize: asIs, responseDeserialize: asIs };

/** RateLimitResponse.overall_code: OVER_LIMIT for descriptors with `limited`. */
const overLimit = Buffer.from([8, 2]);
const withinLimit = Buffer.from([8, 1]);
/** CheckResponse.status.code: OK where the request has `let-me-in`, else PERMISSION_DENIED. With OK comes metadata: a limit. */
const metadata = toBinary(StructSchema, fromJson(StructSchema, { limit: { requests_per_unit: 42, unit: "HOUR" } }));
const allowed = Buffer.from([10, 0, 34, metadata.length, ...metadata]);
const denied = Buffer.from([10, 2, 8, 7]);

const answers: Readonly<Record<string, (text: string) => Buffer>> = {
  "/envoy.service.ratelimit.v3.RateLimitService/ShouldRateLimit": (text) => (text.includes("limited") ? overLimit : withinLimit),
  "/envoy.service.auth.v3.Authorization/Check": (text) => (text.includes("let-me-in") ? allowed : denied),
  "/opentelemetry.proto.collector.trace.v1.TraceService/Export": () => Buffer.alloc(0),
  "/opentelemetry.proto.collector.logs.v1.LogsService/Export": () => Buffer.alloc(0),
  "/till.v1.Till/Get": (text) => Buffer.from([10, 3 + text.length - 2, ...Buffer.from("got"), ...Buffer.from(text, "latin1").subarray(2)]),
};

export async function startGrpc(): Promise<GrpcEcho> {
  const server = new Server();
  const received: { method: string; text: string; metadata: Record<string, unknown> }[] = [];
  for (const [path, answer] of Object.entries(answers)) {
    server.addService(
      { call: { path, requestStream: false, responseStream: false, ...serializers } },
      {
        call(call: ServerUnaryCall<Buffer, Buffer>, done: sendUnaryData<Buffer>) {
          const text = call.request.toString("latin1");
          received.push({ method: path, text, metadata: call.metadata.getMap() });
          done(null, answer(text));
        },
      },
    );
  }
  const logs = "/envoy.service.accesslog.v3.AccessLogService/StreamAccessLogs";
  server.addService(
    { call: { path: logs, requestStream: true, responseStream: false, ...serializers } },
    {
      call(call: ServerReadableStream<Buffer, Buffer>, _done: sendUnaryData<Buffer>) {
        call.on("data", (bytes: Buffer) =>
          received.push({ method: logs, text: bytes.toString("latin1"), metadata: call.metadata.getMap() }),
        );
        call.on("error", () => undefined);
      },
    },
  );
  const process = "/envoy.service.ext_proc.v3.ExternalProcessor/Process";
  server.addService(
    { call: { path: process, requestStream: true, responseStream: true, ...serializers } },
    {
      call(call: ServerDuplexStream<Buffer, Buffer>) {
        call.on("data", (bytes: Buffer) => {
          received.push({ method: process, text: bytes.toString("latin1"), metadata: call.metadata.getMap() });
          call.write(processed(bytes));
        });
        call.on("end", () => call.end()).on("error", () => undefined);
      },
    },
  );
  const port = await new Promise<number>((resolve, reject) =>
    server.bindAsync("127.0.0.1:0", ServerCredentials.createInsecure(), (error, bound) => (error ? reject(error) : resolve(bound))),
  );
  return { port, descriptors: tillDescriptors(), received, [Symbol.asyncDispose]: async () => server.forceShutdown() };
}

function tillDescriptors(): string {
  const id = { name: "id", number: 1, jsonName: "id", label: Label.OPTIONAL, type: Type.STRING };
  const method = { name: "Get", inputType: ".till.v1.Ask", outputType: ".till.v1.Ask" };
  const messageType = [{ name: "Ask", field: [id] }];
  const service = [{ name: "Till", method: [method] }];
  const file = [{ name: "till.proto", package: "till.v1", syntax: "proto3", messageType, service }];
  return Buffer.from(toBinary(FileDescriptorSetSchema, create(FileDescriptorSetSchema, { file }))).toString("base64");
}

/**
 * A header more on requests (field 2 of what is asked, 1 of the answer) and on responses (3, 2). Who says `lead-me` in a request has `x-led`, and
 * the route chosen anew.
 */
function processed(asked: Buffer): Buffer {
  const field = new BinaryReader(asked).tag()[0] - 1;
  const leads = field === 1 && asked.includes("lead-me");
  const name = leads ? "x-led" : field === 1 ? "x-processed-request" : "x-processed-response";
  const header = new BinaryWriter().tag(1, WireType.LengthDelimited).string(name).tag(3, WireType.LengthDelimited).string("yes").finish();
  // HeaderMutation.set_headers[].header, in CommonResponse beside clear_route_cache
  const mutation = within(header, 2, 1, 1);
  const common = leads ? Buffer.concat([mutation, new BinaryWriter().tag(5, WireType.Varint).bool(true).finish()]) : mutation;
  return Buffer.from(within(common, field, 1));
}

function within(inner: Uint8Array, ...fields: readonly number[]): Uint8Array {
  return fields.reduceRight((bytes, field) => new BinaryWriter().tag(field, WireType.LengthDelimited).bytes(bytes).finish(), inner);
}
