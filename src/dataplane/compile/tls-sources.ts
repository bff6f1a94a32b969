// Where certificates, keys and authorities stand: in the configuration itself, or in files of this machine, which are read when the configuration
// comes, as Envoy does.

import { readFileSync, statSync } from "node:fs";
import type { DataSource } from "../../gen/envoy/envoy/config/core/v3/base_pb.js";

const mostBytes = 4 * 1_048_576;

/** Undefined where there is nothing. Throws for a file that cannot be read. */
export function bytesOf(source: DataSource | undefined): Buffer | undefined {
  const specifier = source?.specifier;
  switch (specifier?.case) {
    case "inlineBytes":
      return Buffer.from(specifier.value);
    case "inlineString":
      return Buffer.from(specifier.value, "utf8");
    case "filename":
      return readFile(specifier.value);
    default:
      return undefined;
  }
}

/** Whether a field that is in no table is one of these files. */
export function isFileOfTls(path: string): boolean {
  return /\b(certificate_chain|private_key|ocsp_staple|trusted_ca)\.filename$/.test(path);
}

/** Throws, in words for the user. */
export function readFile(path: string): Buffer {
  try {
    // What is no file could keep us waiting, or never end.
    const about = statSync(path);
    if (!about.isFile()) throw new Error("it is no file");
    if (about.size > mostBytes) throw new Error("it is too large");
    return readFileSync(path);
  } catch (error) {
    throw new Error(`cannot read ${path}: ${(error as NodeJS.ErrnoException).code ?? (error as Error).message}`);
  }
}
