// What lies in a folder: which files are ours to read, and reading one safely.

import { isUtf8 } from "node:buffer";
import {
  closeSync,
  constants,
  type Dirent,
  fstatSync,
  lstatSync,
  openSync,
  readdirSync,
  readlinkSync,
  readSync,
  realpathSync,
  type Stats,
  statSync,
} from "node:fs";
import { basename, dirname, join, relative, sep } from "node:path";
import { type Problem, problem } from "../../model/problem.ts";
import { withoutByteOrderMarks } from "../documents.ts";
import type { Layout } from "../envelope.ts";
import { kindOfPlural } from "../object-kind.ts";
import { limits } from "../yaml.ts";

/** Tells a file from its next version without reading it. */
export type Signature = string;

export interface Listing {
  /** By path as the user would write it. */
  readonly files: Map<string, Signature>;
  /** Those of them that are links, and are read because nothing else leads to their targets. */
  readonly links: Set<string>;
  /** Folders below the root, itself included, to be watched. */
  readonly folders: Set<string>;
  /** Things that are not read, by path. */
  readonly problems: Map<string, Problem>;
}

interface Link {
  readonly path: string;
  readonly real: string;
  readonly isFolder: boolean;
}

export function signatureOf(stats: Stats): Signature {
  return `${stats.dev}:${stats.ino}:${stats.size}:${stats.mtimeMs}:${stats.ctimeMs}`;
}

/** Names of editors' temporary files, of version control and of Kubernetes' own bookkeeping (`..data`). */
export function isIgnoredName(name: string): boolean {
  return (
    name.startsWith(".") ||
    name.endsWith("~") ||
    name.endsWith(".tmp") ||
    name.startsWith("#") ||
    name === "node_modules" ||
    name === "4913"
  );
}

export function isReadableName(name: string): boolean {
  return /\.(ya?ml|json)$/i.test(name) && !isIgnoredName(name);
}

function emptyListing(): Listing {
  return { files: new Map(), links: new Set(), folders: new Set(), problems: new Map() };
}

/** The listing of a source that is a single file; its folder is watched, because saves may replace the file. Throws when it is gone. */
export function listSingleFile(file: string, enter: (folder: string) => void): Listing {
  const listing = emptyListing();
  enter(dirname(file));
  listing.files.set(file, signatureOf(statSync(file)));
  listing.folders.add(dirname(file));
  return listing;
}

/**
 * Lists a folder and those in it. `enter` is called with each before it is looked into, so that a watch set there misses nothing
 * that comes later. `signs`: the listing tells each file from its next version. Throws when the root itself cannot be listed. Yields now and then so that the caller can let others work.
 */
export function* listFolder(root: string, enter: (folder: string) => void, signs: boolean): Generator<void, Listing> {
  const listing = emptyListing();
  const realRoot = realpathSync(root);
  const links: Link[] = [];
  const pending: string[] = [root];
  const visited = new Set<string>();
  let count = 0;
  while (true) {
    const folder = pending.pop();
    if (folder === undefined) {
      // Links last: what is reachable without them is read under its own name, once.
      const link = links.shift();
      if (!link) return listing;
      followLink(link, listing, pending, visited, realRoot);
      continue;
    }
    let entries: Dirent[];
    try {
      const real = realpathSync(folder);
      if (visited.has(real)) continue;
      visited.add(real);
      enter(folder);
      entries = readdirSync(folder, { withFileTypes: true });
    } catch (error) {
      if (folder === root) throw error;
      listing.problems.set(folder, unreadable(folder, error));
      continue;
    }
    listing.folders.add(folder);
    for (const entry of entries) {
      if (isIgnoredName(entry.name)) continue;
      noteEntry(join(folder, entry.name), entry, listing, pending, links, realRoot, signs);
      if (++count % 50 === 0) yield;
    }
  }
}

function noteEntry(
  path: string,
  entry: Dirent,
  listing: Listing,
  pending: string[],
  links: Link[],
  realRoot: string,
  signs: boolean,
): void {
  if (entry.isDirectory()) {
    if (isReadableName(entry.name)) listing.problems.set(path, skipped(path, "it is a folder, though its name is a file's"));
    else pending.push(path);
    return;
  }
  if (entry.isSymbolicLink()) {
    noteLink(path, listing, links, realRoot);
    return;
  }
  if (!isReadableName(entry.name)) return;
  if (!entry.isFile()) {
    listing.problems.set(path, skipped(path, "it is not a regular file"));
    return;
  }
  if (!signs) {
    listing.files.set(path, "");
    return;
  }
  const stats = lstatSync(path, { throwIfNoEntry: false });
  if (stats) listing.files.set(path, signatureOf(stats));
}

function noteLink(path: string, listing: Listing, links: Link[], realRoot: string): void {
  try {
    const real = realpathSync(path);
    const isFolder = statSync(real).isDirectory();
    if (!isFolder && !isReadableName(basename(path))) return;
    if (!isWithin(real, realRoot)) {
      listing.problems.set(path, skipped(path, "it is a link that leads out of the folder"));
      return;
    }
    links.push({ path, real, isFolder });
  } catch (error) {
    if (!isReadableName(basename(path))) return;
    const code = (error as NodeJS.ErrnoException).code;
    listing.problems.set(
      path,
      skipped(path, code === "ELOOP" ? "it is a link that leads to itself" : `its target ${linkTarget(path)} is not there`),
    );
  }
}

function isWithin(real: string, realRoot: string): boolean {
  return real === realRoot || real.startsWith(realRoot + sep);
}

export function isLink(path: string): boolean {
  try {
    return lstatSync(path).isSymbolicLink();
  } catch {
    return false; // gone, perhaps with its folder: reading it will tell
  }
}

export function leadsOut(path: string, root: string): boolean {
  try {
    return !isWithin(realpathSync(path), realpathSync(root));
  } catch {
    return false; // leads nowhere: reading it will tell
  }
}

function linkTarget(path: string): string {
  try {
    return readlinkSync(path);
  } catch {
    return "";
  }
}

function followLink(link: Link, listing: Listing, pending: string[], visited: ReadonlySet<string>, realRoot: string): void {
  // Without a hidden part on its way (`..2026_11_23/`), the target is read under its own name.
  const isSeenItself = !relative(realRoot, link.real).split(sep).some(isIgnoredName);
  if (isSeenItself || visited.has(link.real)) return;
  if (link.isFolder) {
    pending.push(link.path);
    return;
  }
  const stats = statSync(link.real, { throwIfNoEntry: false });
  if (stats?.isFile()) {
    listing.files.set(link.path, signatureOf(stats));
    listing.links.add(link.path);
  } else if (stats) listing.problems.set(link.path, skipped(link.path, "it is not a regular file"));
}

function skipped(path: string, why: string): Problem {
  return problem("warning", undefined, "FileSkipped", `${path} is not read: ${why}`, { at: { file: path, line: 1, column: 1 } });
}

function unreadable(path: string, error: unknown): Problem {
  return problem("error", undefined, "FileUnreadable", `${path} cannot be read: ${(error as Error).message}`, {
    at: { file: path, line: 1, column: 1 },
  });
}

export type FileText =
  | { readonly is: "text"; readonly text: string; readonly signature: Signature }
  | { readonly is: "absent" }
  | { readonly is: "refused"; readonly problem: Problem; readonly signature: Signature };

/** Reads a file. Opens without blocking, so that a FIFO cannot hold us, and looks at what was opened, not at what was named. */
export function readFile(path: string): FileText {
  let descriptor: number;
  try {
    descriptor = openSync(path, constants.O_RDONLY | (constants.O_NONBLOCK ?? 0));
  } catch (error) {
    const { code } = error as NodeJS.ErrnoException;
    if (code === "ENOENT" || code === "ENOTDIR") return { is: "absent" };
    return { is: "refused", problem: unreadable(path, error), signature: code ?? "" };
  }
  try {
    const stats = fstatSync(descriptor);
    const signature = signatureOf(stats);
    if (!stats.isFile()) return { is: "refused", problem: skipped(path, "it is not a regular file"), signature };
    if (stats.size > limits.fileBytes) return { is: "refused", problem: tooLarge(path), signature };
    const bytes = contentOf(descriptor, stats.size);
    if (bytes.length > limits.fileBytes) return { is: "refused", problem: tooLarge(path), signature };
    if (!isUtf8(bytes)) return { is: "refused", problem: notUtf8(path, bytes), signature };
    return { is: "text", text: withoutByteOrderMarks(bytes.toString("utf8")), signature };
  } catch (error) {
    return { is: "refused", problem: unreadable(path, error), signature: "" };
  } finally {
    closeSync(descriptor);
  }
}

/** Used for one file after the other: its bytes are text before the next is read. */
let scratch = Buffer.allocUnsafeSlow(64 * 1024);

/** Until the end, which may have moved since the size was asked; a byte above the limit is enough to know. */
function contentOf(descriptor: number, size: number): Buffer {
  if (scratch.length <= size) scratch = Buffer.allocUnsafeSlow(size * 2);
  let length = 0;
  while (length <= limits.fileBytes) {
    if (length === scratch.length) scratch = Buffer.concat([scratch], scratch.length * 2);
    const read = readSync(descriptor, scratch, length, scratch.length - length, null);
    if (read === 0) break;
    length += read;
  }
  return scratch.subarray(0, length);
}

/** Without its size: a file that is still being written would be another finding with each look, and told a hundred times. */
function tooLarge(path: string): Problem {
  const message = `the file is too large: at most ${limits.fileBytes / 1024 / 1024} MiB are read`;
  return problem("error", undefined, "TooLarge", message, { at: { file: path, line: 1, column: 1 }, hint: "split the file" });
}

function notUtf8(path: string, bytes: Buffer): Problem {
  const isUtf16 = (bytes[0] === 0xff && bytes[1] === 0xfe) || (bytes[0] === 0xfe && bytes[1] === 0xff);
  let good = 0;
  for (let step = bytes.length; step >= 1; step = step >> 1) {
    while (good + step <= bytes.length && isUtf8Prefix(bytes.subarray(0, good + step))) good += step;
  }
  const before = bytes.subarray(0, good).toString("utf8");
  const line = before.split("\n").length;
  const column = before.length - before.lastIndexOf("\n");
  const message = isUtf16 ? "the file is UTF-16, not UTF-8" : "the file is not UTF-8 at this place";
  return problem("error", undefined, "SyntaxError", message, { at: { file: path, line, column }, hint: "save it as UTF-8" });
}

/** Valid, or valid but for a character cut off at the end. */
function isUtf8Prefix(bytes: Buffer): boolean {
  for (let cut = 0; cut < 4 && cut <= bytes.length; cut++) if (isUtf8(bytes.subarray(0, bytes.length - cut))) return true;
  return false;
}

/** What the place of a file says, in Gloo's layout `<plural>/<namespace>/<name>.yaml`. */
export function layoutOf(root: string, path: string): Layout {
  const parts = relative(root, path).split(sep);
  const name = basename(path).replace(/\.[^.]*$/, "");
  const kind = parts.length >= 3 ? kindOfPlural(parts.at(-3)!) : undefined;
  const namespace = parts.at(-2);
  return kind && namespace ? { kind, namespace, name } : { name };
}
