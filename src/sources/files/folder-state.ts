// Follows a folder: hears of changes, looks at the files, and tells the index. Decides when a bad or missing thing is believed.
import { statSync } from "node:fs";
import { setImmediate as nextTurn } from "node:timers/promises";
import { type Problem, problem } from "../../model/problem.ts";
import type { SourceBatch } from "../../plugin/source.ts";
import type { TextReading } from "../read-text.ts";
import type { Rereading } from "../rereading.ts";
import type { FileIndex } from "./file-index.ts";
import { isLink, type Listing, leadsOut, listFolder, listSingleFile, readFile } from "./folder.ts";
import { FolderWatcher } from "./watcher.ts";

const brokenMs = 30;
const missingObjectsMs = 150;
const missingFileMs = 100;
/** How long a deletion of most files must last, with the folder itself there, before it is believed. */
const massMs = 500;

export interface WatchOptions {
  /** The safety net under file events. */
  readonly pollMs: number;
  readonly pollOnly: boolean;
  /** After the folder was away: how far apart two equal looks must be before a mass deletion is believed. */
  readonly guardMs: number;
}

interface Watched {
  signature: string;
  /** The text that the index knows. */
  text: string | undefined;
  /** A text that does not parse, seen but not yet reported. */
  broken?: { readonly text: string; readonly since: number };
  /** Objects are held back in the index since then. */
  heldSince?: number;
}

export class FolderState {
  readonly #root: string;
  readonly #index: FileIndex;
  readonly #reading: Rereading;
  readonly #watched = new Map<string, Watched>();
  readonly #missing = new Map<string, { readonly since: number }>();
  /** When to look at a file again. */
  readonly #due = new Map<string, number>();
  /** Watches a folder before it is looked into. */
  #enter: (folder: string) => void = () => {};
  #rootId: string | undefined;
  /** The links that are read, as of the last look at the whole folder. */
  #links: ReadonlySet<string> = new Set();
  /** Known once the root has been there. */
  #isSingleFile: boolean | undefined;
  #rootWasAway = false;
  #guard: { readonly missing: string; readonly since: number } | undefined;

  constructor(root: string, index: FileIndex, reading: Rereading) {
    this.#root = root;
    this.#index = index;
    this.#reading = reading;
  }

  /** Everything, now, without waiting for anything to settle. */
  readAll(): void {
    for (const _ of this.#all()) {
      // Nobody else wants a turn.
    }
  }

  /** As {@link readAll}, with turns for others: a signal is heard, and probes are answered. */
  async #readAllInTurns(signal: AbortSignal): Promise<void> {
    let turnEnds = performance.now() + sliceMs;
    for (const _ of this.#all()) {
      if (performance.now() < turnEnds) continue;
      await nextTurn();
      if (signal.aborted) return;
      turnEnds = performance.now() + sliceMs;
    }
  }

  *#all(): Generator<void> {
    // Each file is opened now, and tells its signature then.
    const listing = yield* this.#listing(false);
    if (!listing) return;
    for (const file of [...listing.files.keys()].sort()) {
      this.#lookAt(file, 0, true);
      yield;
    }
    for (const file of [...this.#index.files]) if (!listing.files.has(file) && !this.#watched.has(file)) this.#index.remove(file);
  }

  /** Lists the folder and reports what in it is not read; undefined when the folder cannot be listed. */
  *#listing(signs: boolean): Generator<void, Listing | undefined> {
    let listing: Listing;
    try {
      const id = this.#idOfRoot();
      listing = this.#isSingleFile ? listSingleFile(this.#root, this.#enter) : yield* listFolder(this.#root, this.#enter, signs);
      if (this.#rootId !== undefined && this.#rootId !== id) this.#rootWasAway = true;
      this.#rootId = id;
    } catch (error) {
      this.#rootWasAway = true;
      this.#index.setPlaceProblems(this.#root, [rootProblem(this.#root, error)]);
      return undefined;
    }
    this.#links = listing.links;
    this.#index.setPlaceProblems(this.#root, []);
    for (const place of [...this.#index.placesWithProblems]) if (!listing.problems.has(place)) this.#index.setPlaceProblems(place, []);
    for (const [place, found] of listing.problems) this.#index.setPlaceProblems(place, [found]);
    return listing;
  }

  async *watch(signal: AbortSignal, options: WatchOptions, first: () => SourceBatch): AsyncGenerator<SourceBatch> {
    const watcher = new FolderWatcher(options.pollOnly);
    // At once, also when who aborts does not ask for another batch: an open watch would keep the process alive.
    const stop = () => {
      watcher.close();
      watcher.wake();
    };
    signal.addEventListener("abort", stop, { once: true });
    try {
      this.#enter = (folder) => watcher.follow(folder);
      await this.#readAllInTurns(signal);
      if (signal.aborted) return;
      this.#reportWatch(watcher);
      yield first();
      let nextPoll = performance.now() + this.#pollDelay(options.pollMs, watcher.isDegraded);
      let scan: Generator<void, Listing | undefined> | undefined;
      let again = false;
      while (!signal.aborted) {
        const heard = await watcher.next(scan ? 0 : this.#wakeAt(nextPoll));
        if (signal.aborted) return;
        const now = performance.now();
        const changed = this.#isSingleFile ? [...heard.files].filter((file) => file === this.#root) : heard.files;
        const due = [...this.#due].flatMap(([file, at]) => (at <= now ? [file] : []));
        // All that was heard together is told together, however long it takes to read; others have their turns meanwhile.
        let turnEnds = performance.now() + sliceMs;
        for (const file of new Set([...changed, ...due])) {
          this.#lookAt(file, now, false);
          if (performance.now() < turnEnds) continue;
          await nextTurn();
          if (signal.aborted) return;
          turnEnds = performance.now() + sliceMs;
        }
        // A look that is going on is finished first: steady changes must not keep it from ever coming to its end.
        const rescan = heard.rescan || (!this.#isSingleFile && [...heard.files].some(isLink));
        if (rescan && scan) again = true;
        else if (rescan || (!scan && now >= nextPoll)) {
          watcher.tryAgain();
          scan = this.#rescan(options.guardMs);
        }
        const step = scan && slice(scan);
        if (step?.done) {
          scan = undefined;
          if (step.value) watcher.keepOnly(step.value.folders);
          this.#reportWatch(watcher);
          nextPoll = performance.now() + (again ? 0 : this.#pollDelay(options.pollMs, watcher.isDegraded));
          again = false;
        }
        this.#settleMissing(now);
        const batch = this.#index.take();
        if (batch) yield { ...batch, noticedAt: heard.noticedAt ?? now };
      }
    } finally {
      signal.removeEventListener("abort", stop);
      watcher.close();
    }
  }

  #pollDelay(pollMs: number, isDegraded: boolean): number {
    if (this.#rootWasAway) return Math.min(pollMs, 500);
    return isDegraded ? Math.min(pollMs, 1_000) : pollMs;
  }

  #reportWatch(watcher: FolderWatcher): void {
    const message = `${watcher.degradedBy}; changes are found by polling, within a second or two`;
    const found = watcher.isDegraded ? [problem("warning", undefined, "WatchDegraded", message)] : [];
    this.#index.setPlaceProblems(`${this.#root} (watch)`, found);
  }

  #wakeAt(nextPoll: number): number {
    let wakeAt = nextPoll;
    for (const at of this.#due.values()) if (at < wakeAt) wakeAt = at;
    return wakeAt;
  }

  /** Compares all files with what is known; the folders to watch come back. */
  *#rescan(guardMs: number): Generator<void, Listing | undefined> {
    const listing = yield* this.#listing(true);
    if (!listing) return undefined;
    const now = performance.now();
    for (const [file, signature] of listing.files) {
      if (this.#watched.get(file)?.signature === signature && !this.#missing.has(file)) continue;
      this.#lookAt(file, now, false);
      yield;
    }
    const missing = [...this.#index.files].filter((file) => !listing.files.has(file));
    if (this.#rootWasAway && this.#isMass(missing)) this.#guardMissing(missing, now, guardMs);
    else {
      this.#rootWasAway = false;
      this.#guard = undefined;
      for (const file of missing) this.#lookAt(file, now, false);
    }
    return listing;
  }

  #guardMissing(missing: readonly string[], now: number, guardMs: number): void {
    const printed = JSON.stringify([...missing].sort());
    if (this.#guard?.missing === printed && now - this.#guard.since >= guardMs) {
      this.#rootWasAway = false;
      this.#guard = undefined;
      for (const file of missing) this.#forget(file);
      this.#index.setPlaceProblems(this.#root, []);
      return;
    }
    if (this.#guard?.missing !== printed) this.#guard = { missing: printed, since: now };
    const message = `${missing.length} files are missing since the folder came back; what they held stays in service until this is certain`;
    this.#index.setPlaceProblems(this.#root, [problem("warning", undefined, "DeletionHeld", message)]);
  }

  /** More than half of all resources, and at least five. */
  #isMass(files: readonly string[]): boolean {
    let count = 0;
    for (const file of files) count += this.#index.resourceCount(file);
    return count >= 5 && count * 2 > this.#index.totalResources;
  }

  /** Reads a file if it changed; `isFirst`: at the start, when there is nothing to wait for. */
  #lookAt(file: string, now: number, isFirst: boolean): void {
    this.#due.delete(file);
    // At the start the listing has just told files from links.
    const found = !isFirst && this.#isForeign(file) ? ({ is: "absent" } as const) : readFile(file);
    if (found.is === "absent") {
      this.#noteMissing(file, now);
      return;
    }
    const watched = this.#watched.get(file) ?? { signature: "", text: undefined };
    this.#watched.set(file, watched);
    this.#return(file);
    watched.signature = found.signature;
    if (found.is === "refused") {
      watched.text = undefined;
      this.#index.refuse(file, found.problem);
      return;
    }
    if (found.text === watched.text) this.#settle(file, watched, now);
    else this.#take(file, watched, found.text, now, isFirst);
  }

  /** A link that the listing of the folder does not want to be read: it leads out, or to what is read under its own name. */
  #isForeign(file: string): boolean {
    return !this.#isSingleFile && isLink(file) && (!this.#links.has(file) || leadsOut(file, this.#root));
  }

  #take(file: string, watched: Watched, text: string, now: number, isFirst: boolean): void {
    const isEmptied = text.trim() === "" && this.#index.resourceCount(file) > 0 && !isFirst;
    const reading = isEmptied ? emptied(file) : this.#reading.read(text, file);
    if (reading.isBroken && !isFirst) {
      if (watched.broken?.text !== text) watched.broken = { text, since: now };
      if (now - watched.broken.since < brokenMs) {
        this.#due.set(file, watched.broken.since + brokenMs);
        return;
      }
    }
    delete watched.broken;
    watched.text = text;
    const isHolding = this.#index.set(file, text, reading, !isFirst);
    if (isHolding) {
      watched.heldSince = now;
      this.#due.set(file, now + missingObjectsMs);
    } else delete watched.heldSince;
  }

  /** The text is what we know; what waited for it to be so may go. */
  #settle(file: string, watched: Watched, now: number): void {
    delete watched.broken;
    if (watched.heldSince === undefined) return;
    if (now - watched.heldSince < missingObjectsMs) {
      this.#due.set(file, watched.heldSince + missingObjectsMs);
      return;
    }
    delete watched.heldSince;
    this.#index.release(file);
  }

  #noteMissing(file: string, now: number): void {
    if (!this.#index.has(file)) {
      this.#watched.delete(file);
      return;
    }
    if (!this.#missing.has(file)) this.#missing.set(file, { since: now });
    this.#index.setLeaving(file, true);
    this.#due.set(file, now + missingFileMs);
  }

  /** Lets go of files that are gone for long enough, if the folder is still the one we knew. */
  #settleMissing(now: number): void {
    if (this.#missing.size === 0) return;
    const wait = this.#isMass([...this.#missing.keys()]) ? massMs : missingFileMs;
    const ripe = [...this.#missing].filter(([, { since }]) => now - since >= wait);
    if (ripe.length > 0 && !this.#rootIsThere()) {
      this.#rootWasAway = true;
      for (const file of [...this.#missing.keys()]) {
        this.#due.delete(file);
        this.#return(file);
      }
      return;
    }
    for (const [file] of ripe) this.#forget(file);
    for (const [file, { since }] of this.#missing) this.#due.set(file, since + wait);
  }

  /** Missing no more. */
  #return(file: string): void {
    if (this.#missing.delete(file)) this.#index.setLeaving(file, false);
  }

  #rootIsThere(): boolean {
    try {
      return this.#idOfRoot() === this.#rootId;
    } catch {
      return false;
    }
  }

  /** Tells the root from another that was put in its place. Throws when there is none, or a file where a folder was. */
  #idOfRoot(): string {
    const stats = statSync(this.#root);
    this.#isSingleFile ??= stats.isFile();
    if (this.#isSingleFile) return "file"; // a save may replace it
    if (!stats.isDirectory()) throw Object.assign(new Error("it is a file"), { code: "ENOTDIR" });
    return `${stats.dev}:${stats.ino}`;
  }

  #forget(file: string): void {
    this.#watched.delete(file);
    this.#missing.delete(file);
    this.#due.delete(file);
    this.#reading.forget(file);
    this.#index.remove(file);
  }
}

/** How long files are read before others have a turn. */
const sliceMs = 5;

/** A millisecond or two of a longer work, so that an edit in between is not kept waiting. */
function slice<T>(work: Generator<void, T>): IteratorResult<void, T> {
  const until = performance.now() + 1.5;
  let step = work.next();
  while (!step.done && performance.now() < until) step = work.next();
  return step;
}

/** A file that is emptied is a file that is being written, or a mistake: whoever means to delete, deletes. */
function emptied(file: string): TextReading {
  const found = problem("error", undefined, "SyntaxError", "the file is empty", {
    at: { file, line: 1, column: 1 },
    hint: "delete the file, if its objects are to go",
  });
  return { resources: [], problems: [found], isBroken: true };
}

function rootProblem(root: string, error: unknown): Problem {
  const { code, message } = error as NodeJS.ErrnoException;
  const why = code === "ENOENT" ? "is not there" : code === "ENOTDIR" ? "is no folder" : `cannot be read: ${message}`;
  return problem("error", undefined, "FolderUnreadable", `${root} ${why}`, { hint: "what was read from it before stays in service" });
}
