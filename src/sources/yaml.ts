// YAML and JSON text to trees with places. The only file that knows js-yaml, whose event stream has offsets and costs a tenth of
// what a parser with a syntax tree does. Limits are those of docs/reference: a mistake in a file must never stop the process.
import {
  EVENT_ALIAS,
  EVENT_DOCUMENT,
  EVENT_MAPPING,
  EVENT_POP,
  EVENT_SCALAR,
  EVENT_SEQUENCE,
  getScalarValue,
  parseEvents,
  SCALAR_STYLE_DOUBLE_QUOTED,
  SCALAR_STYLE_PLAIN,
  SCALAR_STYLE_SINGLE_QUOTED,
  YAMLException,
} from "js-yaml";
import type { Reason } from "../model/catalog.ts";
import type { ListNode, MapEntry, MapNode, ScalarNode, YamlNode } from "./yaml-node.ts";
import { explainSyntax } from "./yaml-syntax.ts";

export const limits = {
  /** Of one file, in bytes. */
  fileBytes: 4 * 1024 * 1024,
  /** As many as 4 MiB of small Upstreams: what `kubectl` or a script writes into one file. */
  documents: 50_000,
  depth: 64,
  /** Aliases in one document after those inside of what they repeat are counted too. */
  aliases: 100,
  /** Nodes that the aliases of one document stand for. */
  aliasedNodes: 100_000,
} as const;

/** Something wrong at a place of the text. */
export interface Finding {
  readonly reason: Reason;
  readonly message: string;
  readonly hint?: string;
  readonly start: number;
  readonly end: number;
}

export interface YamlDocument {
  /** Undefined for an empty document. */
  readonly root: YamlNode | undefined;
  /** Mistakes in this document that leave the others readable: duplicate keys, unknown tags, aliases. */
  readonly findings: readonly Finding[];
}

export type ParsedYaml = { readonly documents: readonly YamlDocument[] } | { readonly failure: Finding };

/** Reads a text, of which `linesBefore` are not shown here. `failure` when it is not YAML: then nothing of it can be trusted. */
export function parseYaml(text: string, linesBefore = 0): ParsedYaml {
  if (text.length > limits.fileBytes) return { failure: tooLarge("the text is larger than 4 MiB") };
  if (hasTooManyDocuments(text)) return { failure: tooLarge(`the text has more than ${limits.documents} documents`) };
  let events: ReturnType<typeof parseEvents>;
  try {
    events = parseEvents(text, { maxDepth: limits.depth + 1 });
  } catch (error) {
    if (!(error instanceof YAMLException)) throw error;
    const at = Math.min(error.mark?.position ?? 0, text.length);
    if (error.reason.startsWith("nesting exceeded")) {
      return { failure: { ...tooLarge(`nested deeper than ${limits.depth} levels`), start: at, end: at + 1 } };
    }
    return { failure: explainSyntax(text, error.reason, at) };
  }
  return { documents: new Builder(text, events, linesBefore).documents() };
}

function tooLarge(message: string): Finding {
  return { reason: "TooLarge", message, hint: "split the file", start: 0, end: 0 };
}

function hasTooManyDocuments(text: string): boolean {
  let count = 1;
  for (let at = text.indexOf("\n---"); at !== -1; at = text.indexOf("\n---", at + 1)) {
    const next = text.charCodeAt(at + 4); // "-----BEGIN" is no separator
    if ((Number.isNaN(next) || next <= 32) && ++count > limits.documents) return true;
  }
  return false;
}

type Events = ReturnType<typeof parseEvents>;
type Event = Events[number];
/** What the aliases below a node stand for, and how deep it is. Only kept for containers and anchored nodes. */
interface Weight {
  readonly nodes: number;
  readonly aliases: number;
  readonly height: number;
}
const leaf: Weight = { nodes: 1, aliases: 0, height: 0 };

class Builder {
  readonly #text: string;
  readonly #linesBefore: number;
  readonly #events: Events;
  #next = 0;
  #findings: Finding[] = [];
  #anchors = new Map<string, { node: YamlNode; weight: Weight } | "open">();
  /** Weight of the node that was built last; a return value would cost an object for each node. */
  #weight: Weight = leaf;
  #end = 0;

  constructor(text: string, events: Events, linesBefore: number) {
    this.#linesBefore = linesBefore;
    this.#text = text;
    this.#events = events;
  }

  documents(): YamlDocument[] {
    const documents: YamlDocument[] = [];
    while (this.#next < this.#events.length) {
      if (this.#events[this.#next++]!.type !== EVENT_DOCUMENT) continue;
      this.#findings = [];
      this.#anchors = new Map();
      const isEmpty = this.#events[this.#next]!.type === EVENT_POP;
      const root = isEmpty ? undefined : this.#node(0);
      this.#next++;
      const tooMuch = this.#weightFinding(root);
      documents.push({ root: tooMuch ? undefined : root, findings: tooMuch ? [tooMuch] : this.#findings });
    }
    return documents;
  }

  #weightFinding(root: YamlNode | undefined): Finding | undefined {
    if (!root) return undefined;
    const { aliases, height, nodes } = this.#weight;
    const place = { start: root.start, end: root.start + 1, reason: "TooLarge" as const };
    if (aliases > limits.aliases || (aliases > 0 && nodes > limits.aliasedNodes)) {
      return { ...place, message: `more than ${limits.aliases} aliases after expansion`, hint: "write the values out" };
    }
    if (height > limits.depth) return { ...place, message: `nested deeper than ${limits.depth} levels after aliases are expanded` };
    return undefined;
  }

  /** The next node; `parentEnd` places a value that is not written (`key:` with nothing behind it). */
  #node(parentEnd: number): YamlNode {
    const event = this.#events[this.#next++]!;
    switch (event.type) {
      case EVENT_SCALAR: {
        const node = this.#scalar(event, parentEnd);
        this.#weight = leaf;
        if (event.anchorStart !== -1) this.#anchors.set(this.#text.slice(event.anchorStart, event.anchorEnd), { node, weight: leaf });
        return node;
      }
      case EVENT_MAPPING:
        return this.#container(event, () => this.#map(event.start));
      case EVENT_SEQUENCE:
        return this.#container(event, () => this.#list(event.start));
      case EVENT_ALIAS:
        return this.#alias(event);
      default:
        throw new Error(`unexpected YAML event ${event.type}`);
    }
  }

  #container(event: Extract<Event, { type: typeof EVENT_MAPPING | typeof EVENT_SEQUENCE }>, build: () => YamlNode): YamlNode {
    const anchor = event.anchorStart === -1 ? undefined : this.#text.slice(event.anchorStart, event.anchorEnd);
    if (anchor !== undefined) this.#anchors.set(anchor, "open");
    if (event.tagStart !== -1) this.#checkTag(event.tagStart, event.tagEnd, event.type === EVENT_MAPPING ? "map" : "seq");
    const node = build();
    if (anchor !== undefined) this.#anchors.set(anchor, { node, weight: this.#weight });
    return node;
  }

  #map(start: number): MapNode {
    const entries: MapEntry[] = [];
    const merges: { node: YamlNode; start: number }[] = [];
    let nodes = 1;
    let aliases = 0;
    let height = 0;
    let end = start + 1;
    while (this.#events[this.#next]!.type !== EVENT_POP) {
      const key = this.#key();
      const value = this.#node(key.keyEnd);
      nodes += this.#weight.nodes;
      aliases += this.#weight.aliases;
      if (this.#weight.height > height) height = this.#weight.height;
      end = Math.max(end, this.#end, key.keyEnd);
      if (key.key === "<<" && key.isPlain) merges.push({ node: value, start: key.keyStart });
      else entries.push({ key: key.key, keyStart: key.keyStart, keyEnd: key.keyEnd, isPlain: key.isPlain, value });
    }
    this.#next++;
    this.#reportDuplicates(entries);
    for (const merge of merges) nodes += this.#merge(entries, merge.node, merge.start);
    this.#weight = { nodes, aliases, height: height + 1 };
    this.#end = end;
    return { kind: "map", entries, start, end };
  }

  #key(): Omit<MapEntry, "value"> {
    const event = this.#events[this.#next]!;
    const node = this.#node(this.#end);
    if (node.kind === "scalar") return { key: node.text, keyStart: node.start, keyEnd: node.end, isPlain: node.isPlain };
    const start = event.type === EVENT_MAPPING || event.type === EVENT_SEQUENCE ? event.start : node.start;
    const template =
      this.#text[start - 1] === "{" && this.#text[start] === "{" ? /^\{\{[^\n]*?\}\}/.exec(this.#text.slice(start - 1)) : null;
    if (template) {
      const isGoTemplate = /^\{\{-?\s*[.$]/.test(template[0]);
      const quote = template[0].includes('"') ? "'" : '"';
      const message = "to YAML, {{ }} without quotes is a map, not text";
      this.#find(
        "BadKey",
        message,
        start - 1,
        start - 1 + template[0].length,
        isGoTemplate ? "render it first, as in: helm template . | headworks check -" : `quote it: ${quote}${template[0]}${quote}`,
      );
    } else this.#find("BadKey", "a key is a single value; this is a map or a list", start, start + 1);
    return { key: "", keyStart: start, keyEnd: start + 1, isPlain: false };
  }

  #reportDuplicates(entries: readonly MapEntry[]): void {
    // Small maps, nearly all there are, are cheaper to compare pairwise than to put into a set.
    if (entries.length <= 8) {
      for (let i = 1; i < entries.length; i++) {
        for (let j = 0; j < i; j++) if (entries[j]!.key === entries[i]!.key) this.#duplicate(entries[j]!, entries[i]!);
      }
      return;
    }
    const seen = new Map<string, MapEntry>();
    for (const entry of entries) {
      const earlier = seen.get(entry.key);
      if (earlier) this.#duplicate(earlier, entry);
      else seen.set(entry.key, entry);
    }
  }

  #duplicate(earlier: MapEntry, later: MapEntry): void {
    const line = this.#linesBefore + this.#text.slice(0, earlier.keyStart).split("\n").length;
    this.#find(
      "DuplicateKey",
      `the key "${later.key}" is there twice`,
      later.keyStart,
      later.keyEnd,
      `it is already on line ${line}; remove one`,
    );
  }

  /** Adds what is not there yet, as YAML 1.1's merge key asks; returns how many entries that were. */
  #merge(entries: MapEntry[], source: YamlNode, start: number): number {
    const maps = source.kind === "list" ? source.items : [source];
    const present = new Set(entries.map((entry) => entry.key));
    let added = 0;
    for (const map of maps) {
      if (map.kind !== "map") {
        this.#find("BadMergeKey", "`<<` takes a map, or a list of maps", start, start + 2);
        return added;
      }
      for (const entry of map.entries) {
        if (present.has(entry.key)) continue;
        present.add(entry.key);
        entries.push(entry);
        added++;
      }
    }
    return added;
  }

  #list(start: number): ListNode {
    const items: YamlNode[] = [];
    let nodes = 1;
    let aliases = 0;
    let height = 0;
    let end = start + 1;
    while (this.#events[this.#next]!.type !== EVENT_POP) {
      items.push(this.#node(end));
      nodes += this.#weight.nodes;
      aliases += this.#weight.aliases;
      if (this.#weight.height > height) height = this.#weight.height;
      end = Math.max(end, this.#end);
    }
    this.#next++;
    this.#weight = { nodes, aliases, height: height + 1 };
    this.#end = end;
    return { kind: "list", items, start, end };
  }

  #alias(event: Extract<Event, { type: typeof EVENT_ALIAS }>): YamlNode {
    const name = this.#text.slice(event.anchorStart, event.anchorEnd);
    const target = this.#anchors.get(name);
    this.#end = event.anchorEnd;
    if (target === undefined || target === "open") {
      const message = target === "open" ? `"*${name}" repeats what it stands in` : `there is no "&${name}" before "*${name}"`;
      const hint = target === "open" ? "write the value out" : `quote it, if it is meant as text: "*${name}"`;
      this.#find("UnknownAlias", message, event.anchorStart - 1, event.anchorEnd, hint);
      this.#weight = leaf;
      return { kind: "scalar", text: "", isPlain: true, start: event.anchorStart - 1, end: event.anchorEnd };
    }
    const { nodes, aliases, height } = target.weight;
    this.#weight = { nodes: Math.min(nodes, 1e9), aliases: Math.min(aliases + 1, 1e9), height };
    return target.node;
  }

  #scalar(event: Extract<Event, { type: typeof EVENT_SCALAR }>, parentEnd: number): ScalarNode {
    const isTagged = event.tagStart !== -1;
    if (event.valueStart === -1) {
      const isText = isTagged && this.#isTextTag(event.tagStart, event.tagEnd);
      if (event.tagEnd > this.#end) this.#end = event.tagEnd;
      return { kind: "scalar", text: "", isPlain: !isText, start: parentEnd, end: parentEnd };
    }
    const isQuoted = event.style === SCALAR_STYLE_SINGLE_QUOTED || event.style === SCALAR_STYLE_DOUBLE_QUOTED;
    const start = isQuoted ? event.valueStart - 1 : event.valueStart;
    const end = isQuoted ? event.valueEnd + 1 : event.valueEnd;
    this.#end = end;
    const text = event.fast ? this.#text.slice(event.valueStart, event.valueEnd) : getScalarValue(this.#text, event);
    let isPlain = event.style === SCALAR_STYLE_PLAIN;
    if (isTagged) isPlain = !this.#isTextTag(event.tagStart, event.tagEnd);
    return { kind: "scalar", text, isPlain, start, end };
  }

  #isTextTag(start: number, end: number): boolean {
    const tag = this.#text.slice(start, end);
    if (tag === "!!int" || tag === "!!float" || tag === "!!bool" || tag === "!!null") return false;
    if (tag !== "!!str" && tag !== "!" && tag !== "!!timestamp") this.#unknownTag(tag, start, end);
    return true;
  }

  #checkTag(start: number, end: number, expected: "map" | "seq"): void {
    const tag = this.#text.slice(start, end);
    if (tag !== `!!${expected}` && tag !== "!") this.#unknownTag(tag, start, end);
  }

  #unknownTag(tag: string, start: number, end: number): void {
    this.#find(
      "UnknownTag",
      `the tag ${tag} is not followed here`,
      start,
      end,
      "remove it, and write the value itself; quote it, if it is meant as text",
    );
  }

  #find(reason: Reason, message: string, start: number, end: number, hint?: string): void {
    this.#findings.push({ reason, message, start, end, ...(hint !== undefined && { hint }) });
  }
}
