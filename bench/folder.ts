// Folders to run on, of any size.
import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import type { PlainResource } from "../src/lib/testing/realistic.ts";

export interface Folder extends Disposable {
  readonly path: string;
  write(name: string, ...objects: readonly PlainResource[]): void;
}

export function folder(): Folder {
  const path = mkdtempSync(join(tmpdir(), "headworks-bench-"));
  return {
    path,
    write(name, ...objects) {
      mkdirSync(join(path, name, ".."), { recursive: true });
      writeFileSync(join(path, name), objects.map((each) => JSON.stringify(each)).join("\n---\n"));
    },
    [Symbol.dispose]: () => rmSync(path, { recursive: true, force: true }),
  };
}

/** A file each. */
export function writeEach({ write }: Folder, objects: readonly PlainResource[]): void {
  for (const each of objects) write(`${each.kind.toLowerCase()}s/${each.metadata.namespace}/${each.metadata.name}.yaml`, each);
}

/** As many as a hundred in a file: for sizes at which the file system would be what is measured. */
export function writeMany({ write }: Folder, objects: readonly PlainResource[]): void {
  for (let i = 0; i < objects.length; i += 100) write(`${i}.yaml`, ...objects.slice(i, i + 100));
}
