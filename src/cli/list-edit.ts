// One change to an object: an item into a list of it, or out of it. On JSON; yaml-edit.ts does the same to a text.

export interface ListEdit {
  /** The names on the way to the list, in camelCase: `["virtualHost", "routes"]`, of what stands under `spec`. */
  readonly list: readonly string[];
  readonly change: ListChange;
}

export type ListChange =
  | { readonly kind: "insert"; readonly at: number; readonly item: unknown }
  | { readonly kind: "remove"; readonly at: number };

type Json = Record<string, unknown>;

/** The keys to the list as this object spells them: under `spec` or at top level, camelCase or snake_case; as given where there is none. */
export function keysOf(object: unknown, { list }: ListEdit): readonly string[] {
  const spec = (object as Json | undefined)?.spec;
  const hasSpec = typeof spec === "object" && spec !== null;
  let holder: unknown = hasSpec ? spec : object;
  const keys = list.map((name) => {
    const key = spellings(name).find((each) => typeof holder === "object" && holder !== null && Object.hasOwn(holder, each)) ?? name;
    holder = (holder as Json | undefined)?.[key];
    return key;
  });
  // What is there without a spec is a Kubernetes object that has none yet, or one of Gloo's file mode.
  return hasSpec || (object as Json | undefined)?.kind !== undefined ? ["spec", ...keys] : keys;
}

export function listAt(object: unknown, edit: ListEdit): readonly unknown[] {
  const found = keysOf(object, edit).reduce<unknown>((holder, key) => (holder as Json | undefined)?.[key], object);
  return Array.isArray(found) ? found : [];
}

/** The object with the change made. */
export function edited(object: unknown, edit: ListEdit): unknown {
  return withList(object, keysOf(object, edit), changedList(listAt(object, edit), edit.change));
}

export function changedList(list: readonly unknown[], change: ListChange): unknown[] {
  return change.kind === "insert" ? list.toSpliced(change.at, 0, change.item) : list.toSpliced(change.at, 1);
}

function withList(holder: unknown, [key, ...rest]: readonly string[], list: readonly unknown[]): unknown {
  if (key === undefined) return list;
  const own = (typeof holder === "object" && holder !== null ? holder : {}) as Json;
  return { ...own, [key]: withList(own[key], rest, list) };
}

function spellings(name: string): readonly string[] {
  return [name, name.replaceAll(/[A-Z]/g, (letter) => `_${letter.toLowerCase()}`)];
}
