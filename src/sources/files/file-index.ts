// Which file says what, and what follows from a change: pure bookkeeping, no I/O. Guards the promise that a mistake costs only
// what it touches: a file that cannot be read, or an object in it, keeps its last good version.
import type { Change } from "../../model/change.ts";
import { type Place, type Problem, problem } from "../../model/problem.ts";
import type { ResourceKey } from "../../model/ref.ts";
import type { Resource } from "../../model/resource.ts";
import type { Remembered } from "../../plugin/source.ts";
import { locateInText } from "../locate-text.ts";
import type { TextReading } from "../read-text.ts";

interface FileEntry {
  readonly text: string | undefined;
  /** By key; the first of two in one file. */
  readonly resources: ReadonlyMap<ResourceKey, Resource>;
  readonly problems: readonly Problem[];
  /** Objects that the file no longer holds, kept until it is certain that it was not caught half-written. */
  readonly held: ReadonlySet<ResourceKey>;
}

const noFile: FileEntry = { text: undefined, resources: new Map(), problems: [], held: new Set() };

export class FileIndex {
  readonly #files = new Map<string, FileEntry>();
  /** Files that claim a key. */
  readonly #claims = new Map<ResourceKey, Set<string>>();
  readonly #published = new Map<ResourceKey, Resource>();
  /** The file that each was in service from last, also before a restart. */
  readonly #serving = new Map<ResourceKey, string>();
  readonly #publishedProblems = new Map<string, string>();
  readonly #dirtyKeys = new Set<ResourceKey>();
  readonly #dirtyPlaces = new Set<string>();
  /** Files that are gone, and wait to be believed so. */
  readonly #leaving = new Set<string>();
  /** Findings about places that are no files of ours: folders, links. */
  readonly #placeProblems = new Map<string, readonly Problem[]>();

  /** What was in service before a restart stands in for files that cannot be read now. */
  remember(remembered: readonly Remembered[]): void {
    const byFile = new Map<string, Map<ResourceKey, Resource>>();
    for (const { key, resource } of remembered) {
      const { file } = resource.origin;
      if (file === undefined || resource.spec === undefined) continue;
      if (!byFile.has(file)) byFile.set(file, new Map());
      byFile.get(file)!.set(key, resource);
      this.#serving.set(key, file);
    }
    for (const [file, resources] of byFile) this.#put(file, { ...noFile, resources });
  }

  get files(): IterableIterator<string> {
    return this.#files.keys();
  }

  has(file: string): boolean {
    return this.#files.has(file);
  }

  textOf(file: string): string | undefined {
    return this.#files.get(file)?.text;
  }

  resourceCount(file: string): number {
    return this.#files.get(file)?.resources.size ?? 0;
  }

  get totalResources(): number {
    let total = 0;
    for (const entry of this.#files.values()) total += entry.resources.size;
    return total;
  }

  /**
   * A file was read. With `hold`, objects that it no longer has stay until {@link release}; the answer says whether there are any.
   */
  set(file: string, text: string, reading: TextReading, hold: boolean): boolean {
    const before = this.#files.get(file) ?? noFile;
    const blame = reading.problems.find((each) => each.severity === "error" && each.resource === undefined);
    if (reading.isBroken) {
      this.#put(file, { text, resources: staleAll(before.resources, blame), problems: reading.problems, held: new Set() });
      return false;
    }
    const resources = new Map<ResourceKey, Resource>();
    const problems = [...reading.problems];
    for (const resource of reading.resources) {
      const twin = resources.get(resource.key);
      if (twin) problems.push(duplicate(resource, text, twin, text));
      else resources.set(resource.key, this.#withLastGood(resource, before));
    }
    const held = new Set<ResourceKey>();
    for (const [key, resource] of before.resources) {
      if (resources.has(key)) continue;
      // An object that lost its name or kind to a mistake is one of the missing; which one cannot be known.
      if (blame) resources.set(key, stale(resource, blame));
      else if (hold) held.add(key);
    }
    for (const key of held) resources.set(key, before.resources.get(key)!);
    this.#put(file, { text, resources, problems, held });
    return held.size > 0;
  }

  /** A file could not be read; its objects stay. */
  refuse(file: string, refusal: Problem): void {
    const before = this.#files.get(file) ?? noFile;
    if (refusal.severity === "warning" && before === noFile) {
      this.setPlaceProblems(file, [refusal]);
      return;
    }
    // What stands there now is not known; lines of the text from before would be shown as if they were wrong.
    this.#put(file, { ...before, text: undefined, resources: staleAll(before.resources, refusal), problems: [refusal] });
  }

  /** What was held back of a file goes now. */
  release(file: string): void {
    const entry = this.#files.get(file);
    if (!entry || entry.held.size === 0) return;
    const resources = new Map([...entry.resources].filter(([key]) => !entry.held.has(key)));
    this.#put(file, { ...entry, resources, held: new Set() });
  }

  /** Until it is removed, what a file that is gone held stays in service, unless another file has it: a renamed file is no twin. */
  setLeaving(file: string, isLeaving: boolean): void {
    const entry = this.#files.get(file);
    if (!entry || this.#leaving.has(file) === isLeaving) return;
    if (isLeaving) this.#leaving.add(file);
    else this.#leaving.delete(file);
    for (const key of entry.resources.keys()) this.#claim(key, file);
  }

  remove(file: string): void {
    const entry = this.#files.get(file);
    if (!entry) return;
    this.#leaving.delete(file);
    this.#files.delete(file);
    this.#dirtyPlaces.add(file);
    for (const key of entry.resources.keys()) this.#unclaim(key, file);
  }

  setPlaceProblems(place: string, problems: readonly Problem[]): void {
    if (problems.length > 0) this.#placeProblems.set(place, problems);
    else this.#placeProblems.delete(place);
    this.#dirtyPlaces.add(place);
  }

  get placesWithProblems(): IterableIterator<string> {
    return this.#placeProblems.keys();
  }

  /** What changed since the last call; undefined when nothing did. */
  take(): { readonly changes: readonly Change[]; readonly problems: ReadonlyMap<string, readonly Problem[]> } | undefined {
    const changes: Change[] = [];
    for (const key of this.#dirtyKeys) {
      const resource = this.#winner(key);
      const published = this.#published.get(key);
      if (resource === undefined) {
        if (published) changes.push({ kind: "delete", key });
        this.#published.delete(key);
        this.#serving.delete(key);
      } else if (published === undefined || !isSame(published, resource)) {
        changes.push({ kind: "apply", resource });
        this.#published.set(key, resource);
        if (resource.origin.file !== undefined) this.#serving.set(key, resource.origin.file);
      }
    }
    this.#dirtyKeys.clear();
    const problems = this.#takeProblems();
    return changes.length > 0 || problems.size > 0 ? { changes, problems } : undefined;
  }

  #takeProblems(): Map<string, readonly Problem[]> {
    const problems = new Map<string, readonly Problem[]>();
    for (const place of this.#dirtyPlaces) {
      const now = [...(this.#files.get(place)?.problems ?? []), ...(this.#placeProblems.get(place) ?? []), ...this.#conflictsOf(place)];
      const printed = now.length > 0 ? JSON.stringify(now) : "";
      if (printed === (this.#publishedProblems.get(place) ?? "")) continue;
      if (printed === "") this.#publishedProblems.delete(place);
      else this.#publishedProblems.set(place, printed);
      problems.set(place, now);
    }
    this.#dirtyPlaces.clear();
    return problems;
  }

  /** All that is in service, for a reset. */
  get published(): readonly Resource[] {
    return [...this.#published.values()];
  }

  #put(file: string, entry: FileEntry): void {
    const before = this.#files.get(file);
    this.#files.set(file, entry);
    this.#dirtyPlaces.add(file);
    if (before) for (const key of before.resources.keys()) if (!entry.resources.has(key)) this.#unclaim(key, file);
    for (const key of entry.resources.keys()) this.#claim(key, file);
  }

  #claim(key: ResourceKey, file: string): void {
    const claims = this.#claims.get(key) ?? new Set();
    this.#claims.set(key, claims);
    claims.add(file);
    this.#touch(key, claims);
  }

  #unclaim(key: ResourceKey, file: string): void {
    const claims = this.#claims.get(key);
    if (!claims) return;
    claims.delete(file);
    this.#touch(key, claims);
    if (claims.size === 0) this.#claims.delete(key);
  }

  #touch(key: ResourceKey, claims: ReadonlySet<string>): void {
    this.#dirtyKeys.add(key);
    if (claims.size > 1 || this.#published.get(key) !== undefined) for (const file of claims) this.#dirtyPlaces.add(file);
  }

  /** The file that has been in service: a copy takes nothing over by its name. The first by path where none of them has been. */
  #owner(key: ResourceKey): string | undefined {
    const claims = [...(this.#claims.get(key) ?? [])];
    const staying = claims.filter((file) => !this.#isGoing(key, file));
    const serving = this.#serving.get(key);
    if (serving !== undefined && staying.includes(serving)) return serving;
    return firstOf(staying) ?? firstOf(claims);
  }

  #isGoing(key: ResourceKey, file: string): boolean {
    return this.#leaving.has(file) || this.#files.get(file)?.held.has(key) === true;
  }

  #winner(key: ResourceKey): Resource | undefined {
    const file = this.#owner(key);
    return file === undefined ? undefined : this.#files.get(file)?.resources.get(key);
  }

  #conflictsOf(file: string): Problem[] {
    const entry = this.#files.get(file);
    if (!entry) return [];
    const conflicts: Problem[] = [];
    for (const [key, resource] of entry.resources) {
      const claims = this.#claims.get(key);
      if (!claims || claims.size < 2 || this.#isGoing(key, file)) continue;
      const first = this.#owner(key)!;
      if (first === file) continue;
      const winner = this.#files.get(first)!;
      conflicts.push(duplicate(resource, entry.text, winner.resources.get(key)!, winner.text));
    }
    return conflicts;
  }

  /** An object with mistakes takes the content of its last good version, from this file or wherever it was in service from. */
  #withLastGood(resource: Resource, before: FileEntry): Resource {
    if (resource.spec !== undefined) return resource;
    const good = before.resources.get(resource.key) ?? this.#published.get(resource.key);
    if (good?.spec === undefined) return resource;
    return { ...resource, spec: good.spec, labels: good.labels, annotations: good.annotations, isStale: true };
  }
}

function firstOf(files: readonly string[]): string | undefined {
  let first: string | undefined;
  for (const file of files) if (first === undefined || file < first) first = file;
  return first;
}

function staleAll(resources: ReadonlyMap<ResourceKey, Resource>, blame: Problem | undefined): Map<ResourceKey, Resource> {
  return new Map([...resources].map(([key, resource]) => [key, stale(resource, blame)]));
}

function stale(resource: Resource, blame: Problem | undefined): Resource {
  const message = `${resource.origin.file} cannot be read${blame ? ` (${blame.message})` : ""}; the version from before is in service`;
  const details = { ...(blame?.at && { at: blame.at }), ...(blame?.hint !== undefined && { hint: blame.hint }) };
  return { ...resource, isStale: true, problems: [problem("error", resource.key, "StaleObject", message, details)] };
}

function duplicate(loser: Resource, text: string | undefined, winner: Resource, winnerText: string | undefined): Problem {
  const file = loser.origin.file ?? "";
  const at = placeOf(loser, text) ?? { file, line: 1, column: 1 };
  const there = placeOf(winner, winnerText);
  const where = there === undefined ? winner.origin.file : `${there.file}:${there.line}`;
  const message = `${loser.key} is also in ${where}, which is the one in service; this one, in ${file}, is not looked at`;
  return problem("error", undefined, "DuplicateResource", message, { at, hint: "remove one of the two" });
}

function placeOf(resource: Resource, text: string | undefined): Place | undefined {
  return text === undefined ? undefined : locateInText(text, resource.origin.file ?? "", resource, "metadata.name");
}

function isSame(a: Resource, b: Resource): boolean {
  if (a === b) return true;
  if (a.version !== b.version || a.isStale !== b.isStale || (a.spec === undefined) !== (b.spec === undefined)) return false;
  if (a.origin.file !== b.origin.file || a.origin.document !== b.origin.document) return false;
  if (a.problems.length === 0 && b.problems.length === 0) return true;
  return JSON.stringify(a.problems) === JSON.stringify(b.problems);
}
