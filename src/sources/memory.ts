// Resources that a program hands over: for tests and the demo.
import type { Change } from "../model/change.ts";
import type { Resource } from "../model/resource.ts";
import type { Source, SourceBatch } from "../plugin/source.ts";

export interface MemorySource extends Source {
  /** Says something, as if the world had changed. */
  say(...changes: readonly Change[]): void;
}

/** A source that has these resources, and says what it is told to say. */
export function memorySource(resources: readonly Resource[] = []): MemorySource {
  let held = new Map(resources.map((resource) => [resource.key, resource]));
  const listeners = new Set<(changes: readonly Change[]) => void>();
  const all = (): SourceBatch => ({ changes: [{ kind: "reset", resources: [...held.values()] }], noticedAt: performance.now() });
  return {
    name: "memory",
    async read() {
      return all();
    },
    async *watch(signal) {
      const queue: { readonly changes: readonly Change[]; readonly noticedAt: number }[] = [];
      let wake = () => {};
      const listen = (changes: readonly Change[]) => {
        queue.push({ changes, noticedAt: performance.now() });
        wake();
      };
      const stop = () => wake();
      listeners.add(listen);
      signal.addEventListener("abort", stop);
      try {
        yield all();
        while (!signal.aborted) {
          const batch = queue.shift();
          if (batch) yield batch;
          else await new Promise<void>((resolve) => (wake = resolve));
        }
      } finally {
        listeners.delete(listen);
        signal.removeEventListener("abort", stop);
      }
    },
    locate: () => undefined,
    say(...changes) {
      for (const change of changes) {
        if (change.kind === "apply") held.set(change.resource.key, change.resource);
        else if (change.kind === "delete") held.delete(change.key);
        else held = new Map(change.resources.map((resource) => [resource.key, resource]));
      }
      for (const listen of listeners) listen(changes);
    },
  };
}
