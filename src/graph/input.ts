// A collection that is written from outside: where data enters the graph.
import { type Collection, Table } from "./collection.ts";
import { GraphMisuse } from "./misuse.ts";

export interface Input<V> extends Collection<V> {
  /** Only inside of `graph.batch`. Reads see it when the batch's function has returned. */
  set(key: string, value: V & {}): void;
  /** Only inside of `graph.batch`. Deleting what is not there is nothing. */
  delete(key: string): void;
}

export class InputTable<V> extends Table<V> implements Input<V> {
  /** The last word of the batch on each key; undefined: delete. */
  #edits = new Map<string, V | undefined>();

  set(key: string, value: V): void {
    if (value === undefined) throw new GraphMisuse(`"${this.name}" was given undefined as the value of "${key}"; use delete`);
    this.#edit(key, value);
  }

  delete(key: string): void {
    this.#edit(key, undefined);
  }

  settle(): void {
    if (this.#edits.size === 0) return;
    const edits = this.#edits;
    this.#edits = new Map();
    for (const [key, value] of edits) this.put(key, value);
    this.finish();
  }

  /** The batch's function threw: nothing of it happens. */
  discardEdits(): void {
    this.#edits.clear();
  }

  #edit(key: string, value: V | undefined): void {
    if (this.engine.phase !== "editing") throw new GraphMisuse(`"${this.name}" was edited outside of the function given to graph.batch`);
    this.#edits.set(key, value);
  }
}
