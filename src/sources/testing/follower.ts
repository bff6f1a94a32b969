// Follows a source as the control plane would, and remembers what it said.
import type { Problem } from "../../model/problem.ts";
import type { Resource } from "../../model/resource.ts";
import type { Source, SourceBatch } from "../../plugin/source.ts";

export class Follower {
  readonly resources = new Map<string, Resource>();
  readonly problems = new Map<string, readonly Problem[]>();
  readonly batches: SourceBatch[] = [];
  /** Settles with the first batch. */
  readonly first: Promise<void>;
  hasEnded = false;
  readonly #abort = new AbortController();
  readonly #end: Promise<void>;
  #wake = new Set<() => void>();

  constructor(source: Source, signal?: AbortSignal) {
    signal?.addEventListener("abort", () => this.#abort.abort());
    if (signal?.aborted) this.#abort.abort();
    this.#end = this.#follow(source);
    this.first = this.until(() => this.batches.length > 0 || this.hasEnded);
  }

  async #follow(source: Source): Promise<void> {
    for await (const batch of source.watch(this.#abort.signal)) {
      this.batches.push(batch);
      for (const change of batch.changes) {
        if (change.kind === "apply") this.resources.set(change.resource.key, change.resource);
        else if (change.kind === "delete") this.resources.delete(change.key);
        else {
          this.resources.clear();
          for (const resource of change.resources) this.resources.set(resource.key, resource);
        }
      }
      for (const [place, problems] of batch.problems ?? []) {
        if (problems.length > 0) this.problems.set(place, problems);
        else this.problems.delete(place);
      }
      for (const wake of this.#wake) wake();
    }
    this.hasEnded = true;
    for (const wake of this.#wake) wake();
  }

  /** All findings about places, in a line each. */
  get findings(): string[] {
    return [...this.problems.values()]
      .flat()
      .map(({ severity, reason, message, at }) => `${severity} ${reason}${at ? ` ${at.line}:${at.column}` : ""}: ${message}`);
  }

  /** Waits until something holds; fails after a while with what there is. */
  async until(holds: () => boolean, ms = 60_000): Promise<void> {
    const from = performance.now();
    while (!holds()) {
      const left = ms - (performance.now() - from);
      if (left <= 0)
        throw new Error(`not within ${ms} ms; resources: ${[...this.resources.keys()].join(", ")}; findings: ${this.findings.join("; ")}`);
      await new Promise<void>((resolve) => {
        const timer = setTimeout(done, left);
        const wakes = this.#wake;
        function done(): void {
          clearTimeout(timer);
          wakes.delete(done);
          resolve();
        }
        wakes.add(done);
      });
    }
  }

  async end(): Promise<void> {
    this.#abort.abort();
    await this.#end;
  }
}
