// What a command line names as input: folders, single files, stdin.

import { accessSync, constants, statSync } from "node:fs";
import { resolve } from "node:path";
import type { Change } from "../model/change.ts";
import { type Problem, problem } from "../model/problem.ts";
import type { Resource } from "../model/resource.ts";
import { customKinds } from "../plugin/config.ts";
import type { Plugins } from "../plugin/plugins.ts";
import type { Remembered, Source, SourceBatch } from "../plugin/source.ts";
import { withoutByteOrderMarks } from "../sources/documents.ts";
import { filesSource } from "../sources/files/files.ts";
import { locateInText } from "../sources/locate-text.ts";
import { readText } from "../sources/read-text.ts";
import { CommandError } from "./exit.ts";

export { scopeOf } from "./scope.ts";

const stdinName = "<stdin>";

/** One source for reading once. Throws when something named is not there: nothing found in a folder that is not there is no success. */
export async function openFolders(names: readonly string[], plugins: Plugins): Promise<Source> {
  const distinct = [...new Map(names.map((name) => [name === "-" ? name : resolve(name), name])).values()];
  const sources = await Promise.all(distinct.map((name) => (name === "-" ? stdinSource(plugins) : openFolder(name, plugins))));
  return sources.length === 1 ? (sources[0] as Source) : joined(sources);
}

/** `remembered` is what was in service before a restart. */
export function openFolder(name: string, plugins: Plugins, remembered: readonly Remembered[] = []): Source {
  mustBeReadable(name);
  return filesSource(name, { remembered, customKinds: customKinds(plugins) });
}

function mustBeReadable(name: string): void {
  const stats = statSync(name, { throwIfNoEntry: false });
  if (stats === undefined) throw new CommandError(`${name} is not there`);
  if (!stats.isDirectory() && !stats.isFile()) throw new CommandError(`${name} is neither a folder nor a file`);
  try {
    accessSync(name, stats.isDirectory() ? constants.R_OK | constants.X_OK : constants.R_OK);
  } catch {
    throw new CommandError(`${name} may not be read`);
  }
}

async function stdinSource(plugins: Plugins): Promise<Source> {
  if (process.stdin.isTTY) throw new CommandError("- reads stdin, and stdin is the terminal; pipe YAML into it");
  let text = "";
  for await (const chunk of process.stdin.setEncoding("utf8")) text += chunk;
  text = withoutByteOrderMarks(text);
  const reading = readText(text, stdinName, { customKinds: customKinds(plugins) });
  return {
    name: "files",
    read: async () => ({ changes: [{ kind: "reset", resources: reading.resources }], problems: new Map([[stdinName, reading.problems]]) }),
    // biome-ignore lint/correctness/useYield: what came through a pipe does not change
    async *watch() {
      throw new CommandError("stdin cannot be followed");
    },
    locate: (resource, path) => locateInText(text, stdinName, resource, path),
    text: (file) => (file === stdinName ? text : undefined),
  };
}

/** Several sources as one, for reading once. An object in two of them is taken from the first, as it is within one folder. */
function joined(sources: readonly Source[]): Source {
  const owner = (file: string | undefined) => sources.find((source) => file !== undefined && source.text?.(file) !== undefined);
  return {
    name: "files",
    read: async () => join(await Promise.all(sources.map((source) => source.read()))),
    // biome-ignore lint/correctness/useYield: only commands that read once name several folders
    async *watch() {
      throw new CommandError("several folders cannot be followed as one");
    },
    locate: (resource, path) => owner(resource.origin.file)?.locate(resource, path),
    text: (file) => owner(file)?.text?.(file),
  };
}

function join(batches: readonly SourceBatch[]): SourceBatch {
  const resources = new Map<string, Resource>();
  const problems = new Map<string, Problem[]>();
  const add = (place: string, more: readonly Problem[]) => problems.set(place, [...(problems.get(place) ?? []), ...more]);
  for (const batch of batches) {
    for (const [place, found] of batch.problems ?? []) add(place, found);
    for (const resource of resourcesOfBatch(batch)) {
      const first = resources.get(resource.key);
      if (first === undefined) resources.set(resource.key, resource);
      else add(resource.origin.file ?? "", [duplicate(resource, first)]);
    }
  }
  return { changes: [{ kind: "reset", resources: [...resources.values()] }], problems };
}

export function resourcesOfBatch(batch: SourceBatch): readonly Resource[] {
  return batch.changes.flatMap(resourcesOf);
}

function resourcesOf(change: Change): readonly Resource[] {
  switch (change.kind) {
    case "reset":
      return change.resources;
    case "apply":
      return [change.resource];
    case "delete":
      return [];
  }
}

function duplicate(second: Resource, first: Resource): Problem {
  const message = `${second.key} in ${second.origin.file} is also in ${first.origin.file}, which counts`;
  return problem("error", undefined, "DuplicateResource", message, { at: { file: second.origin.file ?? "", line: 1, column: 1 } });
}
