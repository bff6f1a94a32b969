// A folder whose files are edited at random, and what a flow is told of it.
import type { Flow } from "../../src/flow/flow.ts";
import type { Change } from "../../src/model/change.ts";
import type { ResourceKey } from "../../src/model/ref.ts";
import type { Resource } from "../../src/model/resource.ts";
import { FileIndex } from "../../src/sources/files/file-index.ts";
import { readText } from "../../src/sources/read-text.ts";
import type { Random } from "./random.ts";
import { initial, plans } from "./world.ts";

/** A folder of files as the files source keeps it, with edits as people make them. */
export class Folder {
  readonly #index = new FileIndex();
  readonly #texts = new Map<string, string>();

  get resources(): ReadonlyMap<ResourceKey, Resource> {
    return new Map(this.#index.published.map((resource) => [resource.key, resource]));
  }

  fill(): void {
    for (const [file, object] of initial) this.#write(file, JSON.stringify(object));
  }

  /** What follows for the flow since the last call. */
  take(): readonly Change[] {
    return this.#index.take()?.changes ?? [];
  }

  edit(random: Random): string {
    const { file, make } = random.one(plans);
    const text = this.#texts.get(file);
    switch (random.below(12)) {
      case 0:
        this.#index.remove(file);
        this.#texts.delete(file);
        return `delete ${file}`;
      case 1: {
        // The same object from another file, or two of them in two files.
        if (text === undefined) return `nothing ${file}`;
        const copy = `copy-of-${file}`;
        if (random.chance(0.7)) this.#index.remove(file);
        this.#write(copy, text);
        if (random.chance(0.7)) {
          this.#index.remove(copy);
          this.#texts.delete(copy);
          this.#write(file, text);
        }
        return `move ${file}`;
      }
      case 2:
        if (text === undefined) return `nothing ${file}`;
        this.#write(
          file,
          text.replace(/"name":"([a-z]+)-(\d)"/, (_, name, i) => `"name":"${name}-${(Number(i) + 1) % 4}"`),
        );
        return `rename ${file}`;
      case 3:
        if (text === undefined) return `nothing ${file}`;
        this.#write(file, text.replace(/"app":"[a-z]+"/, `"app":"${random.one(["web", "api", "none"])}"`));
        return `label ${file}`;
      case 4:
        if (text === undefined || random.chance(0.6)) return `nothing ${file}`;
        this.#write(file, text.slice(0, random.below(text.length)));
        return `half of ${file}`;
      default:
        this.#write(file, JSON.stringify(make(random)));
        return `write ${file}`;
    }
  }

  #write(file: string, text: string): void {
    this.#texts.set(file, text);
    this.#index.set(file, text, readText(text, file), false);
  }
}

export function apply(flow: Flow, changes: readonly Change[]): void {
  for (const change of changes) {
    if (change.kind === "apply") flow.apply("files", change.resource);
    else if (change.kind === "delete") flow.delete("files", change.key);
  }
}
