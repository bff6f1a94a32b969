// Reads names and types out of encoded descriptors without decoding the rest.
import { BinaryReader, WireType } from "@bufbuild/protobuf/wire";

/** The length-delimited fields of an encoded message. */
export function partsOf(bytes: Uint8Array): Parts {
  const parts: Parts = [];
  const reader = new BinaryReader(bytes);
  while (reader.pos < bytes.length) {
    const [number, wireType] = reader.tag();
    if (wireType === WireType.LengthDelimited) parts.push({ number, bytes: reader.bytes() });
    else reader.skip(wireType, number);
  }
  return parts;
}

export type Parts = { readonly number: number; readonly bytes: Uint8Array }[];

export function all(parts: Parts, number: number): Uint8Array[] {
  return parts.filter((each) => each.number === number).map((each) => each.bytes);
}

export function name(parts: Parts, number: number): string {
  const found = parts.find((each) => each.number === number);
  return found === undefined ? "" : decode(found.bytes);
}

export function names(parts: Parts, number: number): string[] {
  return all(parts, number).map(decode);
}

/** Of names, which are ASCII. */
function decode({ buffer, byteOffset, length }: Uint8Array): string {
  return Buffer.from(buffer, byteOffset, length).toString("latin1");
}

const optionsInMessage = 7;
const mapEntryInOptions = 7;

/** Map fields are encoded as messages of their own, which count for no type. */
export function isMapEntry(message: Uint8Array): boolean {
  const [options] = all(partsOf(message), optionsInMessage);
  if (options === undefined) return false;
  const reader = new BinaryReader(options);
  while (reader.pos < options.length) {
    const [number, wireType] = reader.tag();
    if (number === mapEntryInOptions) return reader.bool();
    reader.skip(wireType, number);
  }
  return false;
}
