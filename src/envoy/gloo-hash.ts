// Gloo's hash of a message. It stands in the names of route configurations of hybrid Gateways and of what dynamic forward proxying needs,
// which dashboards and alerts know.
//
// FNV-1 over the Go names of types and the values of fields, with nothing between them: `[a, b]` and `[ab]` are the same to it. So
// whoever makes names of it sees to those that collide.
import { type DescField, type DescMessage, type DescOneof, type MessageShape, ScalarType } from "@bufbuild/protobuf";

/** Maps are not hashed: no message that names are made of has any. */
export function glooHash<S extends DescMessage>(schema: S, message: MessageShape<S>): bigint {
  const hash = new Fnv();
  addMessage(hash, schema, message);
  return hash.sum;
}

function addMessage(hash: Fnv, schema: DescMessage, message: object): void {
  hash.text(goNameOf(schema));
  const values = message as Record<string, unknown>;
  for (const member of schema.members) if (member.kind !== "oneof") addField(hash, member, values[member.localName]);
  for (const oneof of schema.oneofs) addChoice(hash, oneof, values[oneof.localName] as { case?: string; value?: unknown } | undefined);
}

function addChoice(hash: Fnv, oneof: DescOneof, chosen: { readonly case?: string; readonly value?: unknown } | undefined): void {
  const field = oneof.fields.find(({ localName }) => localName === chosen?.case);
  if (field) addField(hash, field, chosen?.value);
}

function addField(hash: Fnv, field: DescField, value: unknown): void {
  switch (field.fieldKind) {
    case "message":
      hash.text(goNameOfField(field));
      addNested(hash, field.message, value);
      return;
    case "scalar":
      addScalar(hash, field.scalar, value);
      return;
    case "enum":
      hash.number(value as number, 4);
      return;
    case "list":
      for (const item of value as readonly unknown[]) {
        if (field.listKind === "message") addNested(hash, field.message, item);
        else addScalar(hash, field.listKind === "scalar" ? field.scalar : ScalarType.INT32, item);
      }
  }
}

/** Google's types have no hash of their own in Go, so theirs is that of a struct. */
function addNested(hash: Fnv, schema: DescMessage, value: unknown): void {
  if (schema.file.proto.package === "google.protobuf") hash.number(hashOfStruct(schema, value), 8);
  else if (value !== undefined) addMessage(hash, schema, value as object);
}

function addScalar(hash: Fnv, type: ScalarType, value: unknown): void {
  if (type === ScalarType.STRING) hash.text(value as string);
  else if (type === ScalarType.BYTES) hash.bytes(value as Uint8Array);
  else if (type === ScalarType.DOUBLE) hash.bytes(new Uint8Array(new Float64Array([value as number]).buffer));
  else if (type === ScalarType.FLOAT) hash.bytes(new Uint8Array(new Float32Array([value as number]).buffer));
  else hash.number(value as number | bigint | boolean, widths[type] ?? 4);
}

const widths: { readonly [K in ScalarType]?: number } = {
  [ScalarType.BOOL]: 1,
  [ScalarType.INT64]: 8,
  [ScalarType.UINT64]: 8,
  [ScalarType.SINT64]: 8,
  [ScalarType.FIXED64]: 8,
  [ScalarType.SFIXED64]: 8,
};

function hashOfStruct(schema: DescMessage, value: unknown): bigint {
  if (value === undefined) return new Fnv().number(0, 8).sum;
  let sum = new Fnv().text(schema.name).sum;
  for (const field of schema.fields) {
    // Wrappers are not there, only what is in them.
    const own = typeof value === "object" ? (value as Record<string, unknown>)[field.localName] : value;
    const hash = new Fnv();
    if (field.fieldKind === "scalar") addScalar(hash, field.scalar, own);
    sum ^= new Fnv().number(new Fnv().text(goNameOfField(field)).sum, 8).number(hash.sum, 8).sum;
  }
  return sum;
}

/** `gloo.solo.io.github.com/solo-io/gloo/projects/gloo/pkg/api/v1.Matcher`: the package, where its code is, and the type. */
function goNameOf(schema: DescMessage): string {
  const folder = schema.file.name.split("/").slice(0, -1).join("/");
  const code = folder === "solo-kit/api/v1" ? "solo-kit/pkg/api/v1/resources/core" : folder.replace("/api/", "/pkg/api/");
  const { package: pack } = schema.file.proto;
  return `${pack}.github.com/solo-io/${code}.${schema.typeName.slice(pack.length + 1).replaceAll(".", "_")}`;
}

function goNameOfField({ localName }: DescField): string {
  return localName.charAt(0).toUpperCase() + localName.slice(1);
}

const encoder = new TextEncoder();

/** FNV-1 of 64 bits, in two halves: a listener may have thousands of chains to name, and BigInt is slow. */
class Fnv {
  #high = 0xcbf29ce4;
  #low = 0x84222325;

  get sum(): bigint {
    return (BigInt(this.#high) << 32n) | BigInt(this.#low);
  }

  bytes(bytes: Uint8Array): this {
    let [high, low] = [this.#high, this.#low];
    for (const byte of bytes) {
      // The prime is 2 to the 40th and 0x1b3.
      const product = low * 0x1b3;
      high = (high * 0x1b3 + Math.floor(product / 0x1_0000_0000) + low * 0x100) >>> 0;
      low = ((product >>> 0) ^ byte) >>> 0;
    }
    [this.#high, this.#low] = [high, low];
    return this;
  }

  text(text: string): this {
    return this.bytes(encoder.encode(text));
  }

  /** The lowest byte first. */
  number(value: number | bigint | boolean, width: number): this {
    const bytes = Buffer.alloc(8);
    bytes.writeBigUInt64LE(BigInt.asUintN(64, BigInt(value)));
    return this.bytes(bytes.subarray(0, width));
  }
}
