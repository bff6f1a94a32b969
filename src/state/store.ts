// Remembers on disk the last version of each resource that was good, so that a restart forgets nothing.
//
// One append-only file of lines, `<crc32 hex> <JSON>`; a later line about a key replaces an earlier one. Appending costs what changed,
// whatever the size of the rest; a crash can only cut the last line, which then fails its checksum and is ignored. When
// most lines are outdated the file is written anew beside and renamed. It holds Secrets too, so it is readable by its owner only.
// What to remember and when to use it is decided elsewhere (control-plane.ts).
import { existsSync } from "node:fs";
import { type FileHandle, mkdir, open, readFile, rename, rm, stat } from "node:fs/promises";
import { dirname, join, resolve } from "node:path";
import { crc32 } from "node:zlib";
import { type DescMessage, fromBinary, type Message, toBinary } from "@bufbuild/protobuf";
import type { ResourceKey } from "../model/ref.ts";
import { type ApiKind, type Kind, kinds, type Resource } from "../model/resource.ts";
import type { Remembered } from "../plugin/source.ts";
import type { Logger } from "../plugin/upstream-type.ts";

/** Written in the first line; a file of another version is set aside, not read. */
const formatVersion = 1;

export interface StateStore extends AsyncDisposable {
  /** What was known when the store was opened. */
  readonly remembered: readonly Remembered[];
  remember(resource: Resource): void;
  forget(key: ResourceKey): void;
  /** Resolves when all said so far is on disk, or has been given up and logged. */
  flushed(): Promise<void>;
}

/** Opens (or makes) the store in a folder. Never throws for what is on disk: an unreadable file is set aside as `.bad` and logged. */
export async function openStateStore(folder: string, log: Logger): Promise<StateStore> {
  const file = join(folder, "last-good.log");
  const lines = await makeFolder(resolve(folder)).then(
    () => readLines(file, log),
    (error: Error) => {
      log.warn({ folder, error: error.message }, "cannot make the state folder");
      return [];
    },
  );
  return new LogStore(file, lines, log);
}

/** With those above it. Node's own `recursive` never ends where a folder is there and nothing can be made in it, as in /proc. */
async function makeFolder(folder: string): Promise<void> {
  try {
    await mkdir(folder, { mode: 0o700 });
  } catch (error) {
    const { code } = error as NodeJS.ErrnoException;
    if (code === "EEXIST" && (await stat(folder)).isDirectory()) return;
    if (code !== "ENOENT" || existsSync(dirname(folder))) throw error;
    await makeFolder(dirname(folder));
    await makeFolder(folder);
  }
}

interface Line {
  readonly key: ResourceKey;
  /** Absent when the key was forgotten. */
  readonly resource?: Omit<Resource, "spec" | "problems" | "key">;
  /** The message as base64 of its binary form, or JSON for objects of Kubernetes. */
  readonly spec?: unknown;
}

class LogStore implements StateStore {
  readonly remembered: readonly Remembered[];
  readonly #file: string;
  readonly #log: Logger;
  readonly #live = new Map<ResourceKey, string>();
  #pending: string[] = [];
  #lines: number;
  #handle: FileHandle | undefined;
  #writing: Promise<void> = Promise.resolve();
  #lastComplaint = Number.NEGATIVE_INFINITY;

  constructor(file: string, lines: readonly Line[], log: Logger) {
    this.#file = file;
    this.#log = log;
    this.#lines = lines.length;
    const newest = new Map<ResourceKey, Line>();
    for (const line of lines) newest.set(line.key, line);
    const remembered: Remembered[] = [];
    for (const line of newest.values()) {
      if (line.resource === undefined) continue;
      this.#live.set(line.key, encodeLine(line));
      remembered.push(lazily(line));
    }
    this.remembered = remembered;
  }

  remember(resource: Resource): void {
    const { spec, problems: _, key, ...rest } = resource;
    if (spec === undefined) return;
    this.#append(key, encodeLine({ key, resource: rest, spec: encodeSpec(resource.kind, spec) }));
  }

  forget(key: ResourceKey): void {
    if (this.#live.has(key)) this.#append(key, undefined);
  }

  #append(key: ResourceKey, line: string | undefined): void {
    if (this.#live.get(key) === line) return;
    if (line === undefined) this.#live.delete(key);
    else this.#live.set(key, line);
    if (this.#pending.push(line ?? encodeLine({ key })) === 1) this.#writing = this.#writing.then(() => this.#write());
  }

  async #write(): Promise<void> {
    const batch = this.#pending;
    this.#pending = [];
    try {
      this.#lines += batch.length;
      if (this.#handle === undefined || this.#lines > 1000 + 2 * this.#live.size) await this.#rewrite();
      else await this.#handle.appendFile(batch.join(""));
    } catch (error) {
      await this.#closeHandle();
      this.#complain(error as Error);
    }
  }

  /** Writes what is live to a new file and puts it in place: after this the file holds no outdated line. */
  async #rewrite(): Promise<void> {
    await this.#closeHandle();
    const temporary = `${this.#file}.new`;
    const handle = await open(temporary, "w", 0o600);
    try {
      await handle.writeFile([header(), ...this.#live.values()].join(""));
      await handle.sync();
      await rename(temporary, this.#file);
    } catch (error) {
      await handle.close();
      await rm(temporary, { force: true });
      throw error;
    }
    this.#handle = handle;
    this.#lines = this.#live.size;
  }

  async #closeHandle(): Promise<void> {
    const handle = this.#handle;
    this.#handle = undefined;
    await handle?.close().catch(() => undefined);
  }

  /** At most once a minute: a full disk must not fill the log too. */
  #complain(error: Error): void {
    const now = performance.now();
    if (now - this.#lastComplaint < 60_000) return;
    this.#lastComplaint = now;
    this.#log.warn(
      { file: this.#file, error: error.message },
      "cannot write the state folder; serving goes on, a restart may forget last good versions",
    );
  }

  async flushed(): Promise<void> {
    await this.#writing;
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.#writing;
    await this.#closeHandle();
  }
}

function header(): string {
  return checked(JSON.stringify({ headworks: "last-good", version: formatVersion }));
}

function checked(json: string): string {
  return `${crc32(json).toString(16).padStart(8, "0")} ${json}\n`;
}

function encodeLine(line: Line): string {
  return checked(JSON.stringify(line));
}

function encodeSpec(kind: Kind, spec: unknown): unknown {
  return kind in kinds ? Buffer.from(toBinary(kinds[kind as ApiKind].schema as DescMessage, spec as Message)).toString("base64") : spec;
}

/** Decodes only when asked: most of what is remembered is never needed. */
function lazily(line: Line): Remembered {
  let resource: Resource | undefined;
  return {
    key: line.key,
    get resource() {
      resource ??= {
        ...line.resource,
        key: line.key,
        problems: [],
        spec: decodeSpec((line.resource as Resource).kind, line.spec),
      } as Resource;
      return resource;
    },
  };
}

function decodeSpec(kind: Kind, spec: unknown): unknown {
  return kind in kinds ? fromBinary(kinds[kind as ApiKind].schema, Buffer.from(spec as string, "base64")) : spec;
}

async function readLines(file: string, log: Logger): Promise<Line[]> {
  let text: string;
  try {
    text = await readFile(file, "utf8");
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code !== "ENOENT")
      log.warn({ file, error: (error as Error).message }, "cannot read the state folder");
    return [];
  }
  const [first = "", ...rest] = text.split("\n");
  if (`${first}\n` !== header()) {
    await rename(file, `${file}.bad`).catch(() => undefined);
    log.warn({ file }, "the remembered state is damaged or of another version; set aside as .bad and not used");
    return [];
  }
  const lines: Line[] = [];
  let damaged = 0;
  for (const line of rest) {
    if (line === "") continue;
    const json = line.slice(9);
    if (crc32(json).toString(16).padStart(8, "0") === line.slice(0, 8)) lines.push(JSON.parse(json) as Line);
    else damaged++;
  }
  if (damaged > 0) log.warn({ file, damaged }, "some remembered lines are damaged and were left out");
  return lines;
}
