// The few messages of gRPC server reflection, by hand: `grpc.reflection.v1` and `v1alpha` are the same on the wire.
import { BinaryReader, BinaryWriter, WireType } from "@bufbuild/protobuf/wire";

export type Question =
  | { readonly kind: "services" }
  | { readonly kind: "fileOfSymbol"; readonly symbol: string }
  | { readonly kind: "file"; readonly name: string };

export type Reply =
  | { readonly kind: "services"; readonly names: readonly string[] }
  /** Each a FileDescriptorProto. */
  | { readonly kind: "files"; readonly files: readonly Uint8Array[] }
  | { readonly kind: "error"; readonly code: number; readonly message: string }
  | { readonly kind: "other" };

export function encodeQuestion(question: Question): Buffer {
  const [field, value] = fieldOf(question);
  return Buffer.from(new BinaryWriter().tag(field, WireType.LengthDelimited).string(value).finish());
}

function fieldOf(question: Question): [number, string] {
  switch (question.kind) {
    case "services":
      return [7, "*"];
    case "fileOfSymbol":
      return [4, question.symbol];
    case "file":
      return [3, question.name];
  }
}

/** Throws for bytes that are no such message. */
export function decodeReply(bytes: Uint8Array): Reply {
  let reply: Reply = { kind: "other" };
  eachField(bytes, (field, reader, wireType) => {
    if (wireType !== WireType.LengthDelimited || ![4, 6, 7].includes(field)) return false;
    const content = reader.bytes();
    if (field === 4) reply = { kind: "files", files: bytesOf(content, 1) };
    else if (field === 6) reply = { kind: "services", names: bytesOf(content, 1).map((each) => textOf(bytesOf(each, 1)[0])) };
    else reply = errorOf(content);
    return true;
  });
  return reply;
}

function errorOf(bytes: Uint8Array): Reply {
  let code = 0;
  let message = "";
  eachField(bytes, (field, reader, wireType) => {
    if (field === 1 && wireType === WireType.Varint) code = reader.int32();
    else if (field === 2 && wireType === WireType.LengthDelimited) message = textOf(reader.bytes()).slice(0, 200);
    else return false;
    return true;
  });
  return { kind: "error", code, message };
}

/** The values of a repeated field of bytes, strings or messages. */
function bytesOf(bytes: Uint8Array, wanted: number): Uint8Array[] {
  const values: Uint8Array[] = [];
  eachField(bytes, (field, reader, wireType) => {
    if (field !== wanted || wireType !== WireType.LengthDelimited) return false;
    values.push(reader.bytes());
    return true;
  });
  return values;
}

/** `take` says whether it has read the value. */
function eachField(bytes: Uint8Array, take: (field: number, reader: BinaryReader, wireType: WireType) => boolean): void {
  const reader = new BinaryReader(bytes);
  while (reader.pos < reader.len) {
    const [field, wireType] = reader.tag();
    if (!take(field, reader, wireType)) reader.skip(wireType, field);
  }
}

function textOf(bytes: Uint8Array = new Uint8Array()): string {
  return new TextDecoder().decode(bytes);
}
