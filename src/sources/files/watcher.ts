// File events: one watch for each folder (not for each file: ten thousand files would be ten thousand watches). An event is only a
// hint of where to look; what is there is found by reading.
import { type FSWatcher, watch } from "node:fs";
import { basename, join } from "node:path";
import { setImmediate as nextTurn } from "node:timers/promises";
import { isReadableName } from "./folder.ts";

export interface Heard {
  readonly files: ReadonlySet<string>;
  /** Something happened that one file does not explain. */
  readonly rescan: boolean;
  /** When the first event came; undefined when only time passed. */
  readonly noticedAt?: number;
}

export class FolderWatcher {
  readonly #pollOnly: boolean;
  readonly #watchers = new Map<string, FSWatcher>();
  #files = new Set<string>();
  #rescan = false;
  #noticedAt: number | undefined;
  #wake: (() => void) | undefined;
  #degradedBy: string | undefined;
  #isClosed = false;

  constructor(pollOnly: boolean) {
    this.#pollOnly = pollOnly;
  }

  /** The system refused a watch: who asks must poll. */
  get isDegraded(): boolean {
    return this.#degradedBy !== undefined;
  }

  /** Why, where {@link isDegraded}. */
  get degradedBy(): string | undefined {
    return this.#degradedBy;
  }

  /** Watches a folder, if it is not watched yet. */
  follow(folder: string): void {
    if (this.#pollOnly || this.#isClosed || this.#watchers.has(folder)) return;
    try {
      const watcher = watch(folder, (_event, name) => this.#hear(folder, name));
      watcher.on("error", () => this.#drop(folder));
      this.#watchers.set(folder, watcher);
    } catch (error) {
      // A folder that is gone by now is no reason to poll.
      const { code, message } = error as NodeJS.ErrnoException;
      if (code === "ENOENT" || code === "ENOTDIR") return;
      const isLimit = code === "ENOSPC" || code === "EMFILE";
      this.#degradedBy ??= isLimit ? "the system allows no more file watches" : `${folder} cannot be watched: ${message}`;
    }
  }

  /** Lets go of all other folders. */
  keepOnly(folders: ReadonlySet<string>): void {
    for (const [folder, watcher] of this.#watchers) {
      if (folders.has(folder)) continue;
      watcher.close();
      this.#watchers.delete(folder);
    }
  }

  /** Before all folders are gone through again: the system may have watches to give now. */
  tryAgain(): void {
    this.#degradedBy = undefined;
  }

  #drop(folder: string): void {
    this.#watchers.get(folder)?.close();
    this.#watchers.delete(folder);
    this.#note(() => {
      this.#rescan = true;
    });
  }

  #hear(folder: string, name: string | null): void {
    this.#note(() => {
      // A folder reports its own removal by its own name. It may be made anew at once, with a watch that is dead.
      if (name === null || name === basename(folder)) {
        this.#drop(folder);
      } else if (isReadableName(name)) this.#files.add(join(folder, name));
      else if (name.startsWith("..") || !name.includes(".")) this.#rescan = true;
    });
  }

  #note(what: () => void): void {
    what();
    if (this.#files.size === 0 && !this.#rescan) return;
    this.#noticedAt ??= performance.now();
    this.wake();
  }

  wake(): void {
    this.#wake?.();
  }

  /**
   * Waits until something is heard, or until a time; then for all that is heard in the same turn of the event loop. Events come one by
   * one, and whoever waits for the first goes on before the second: thousands of files would be thousands of looks, and nobody else
   * would have a turn in between.
   */
  async next(until: number): Promise<Heard> {
    const ms = Math.ceil(until - performance.now());
    if (this.#files.size === 0 && !this.#rescan && ms > 0) {
      await new Promise<void>((resolve) => {
        const timer = setTimeout(resolve, ms);
        this.#wake = () => {
          clearTimeout(timer);
          resolve();
        };
      });
      this.#wake = undefined;
    }
    await nextTurn();
    const heard: Heard = { files: this.#files, rescan: this.#rescan, ...(this.#noticedAt !== undefined && { noticedAt: this.#noticedAt }) };
    this.#files = new Set();
    this.#rescan = false;
    this.#noticedAt = undefined;
    return heard;
  }

  close(): void {
    this.#isClosed = true;
    for (const watcher of this.#watchers.values()) watcher.close();
    this.#watchers.clear();
  }
}
