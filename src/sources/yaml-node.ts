// A document as a tree that remembers where everything stands. What YAML and JSON files, and JSON from an API, are read into.

/** Offsets into the text, end exclusive; -1 when the tree did not come from a text. */
export interface Span {
  readonly start: number;
  readonly end: number;
}

export interface ScalarNode extends Span {
  readonly kind: "scalar";
  readonly text: string;
  /** Written without quotes, so that `8080`, `true` and `null` are not text. */
  readonly isPlain: boolean;
}

export interface MapEntry {
  readonly key: string;
  readonly keyStart: number;
  readonly keyEnd: number;
  /** The key was written without quotes. */
  readonly isPlain: boolean;
  readonly value: YamlNode;
}

export interface MapNode extends Span {
  readonly kind: "map";
  readonly entries: readonly MapEntry[];
}

export interface ListNode extends Span {
  readonly kind: "list";
  readonly items: readonly YamlNode[];
}

export type YamlNode = ScalarNode | MapNode | ListNode;

/** The value of a key, when it is there. */
export function entryOf(node: YamlNode | undefined, key: string): MapEntry | undefined {
  if (node?.kind !== "map") return undefined;
  return node.entries.find((entry) => entry.key === key);
}

/** A tree without places, of a value that JSON.parse made. */
export function nodeOfJson(value: unknown): YamlNode {
  if (typeof value === "string") return { kind: "scalar", text: value, isPlain: false, start: -1, end: -1 };
  if (Array.isArray(value)) return { kind: "list", items: value.map(nodeOfJson), start: -1, end: -1 };
  if (typeof value === "object" && value !== null) {
    const entries = Object.entries(value).map(([key, each]) => ({
      key,
      keyStart: -1,
      keyEnd: -1,
      isPlain: false,
      value: nodeOfJson(each),
    }));
    return { kind: "map", entries, start: -1, end: -1 };
  }
  return { kind: "scalar", text: String(value ?? "null"), isPlain: true, start: -1, end: -1 };
}
