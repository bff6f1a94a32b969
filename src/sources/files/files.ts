// A folder of YAML and JSON files as a source: read at once, then watched. What it leaves to others: what the objects mean.
//
// A file that parses is in service as soon as its save is noticed; there is no fixed delay. Only what would take something away
// waits a moment, because editors and copy tools pass through such states: a file that does not parse (30 ms before it is
// reported), objects missing from a file that is still there (150 ms), a file that is gone (100 ms, a rename may follow).
import type { Registry } from "@bufbuild/protobuf";
import type { Place } from "../../model/problem.ts";
import type { Resource } from "../../model/resource.ts";
import type { Remembered, Source, SourceBatch } from "../../plugin/source.ts";
import { locateInText } from "../locate-text.ts";
import { Rereading } from "../rereading.ts";
import { FileIndex } from "./file-index.ts";
import { layoutOf } from "./folder.ts";
import { FolderState } from "./folder-state.ts";

export interface FilesOptions {
  /** What was in service before a restart, for files that cannot be read now. */
  readonly remembered?: readonly Remembered[];
  /** For messages in a `google.protobuf.Any`; the types of the API unless given. */
  readonly types?: Registry;
  /** Fields of Upstreams that belong to types of the user. */
  readonly customKinds?: readonly string[];
  /** The safety net under file events, in milliseconds. */
  readonly pollMs?: number;
  /** Do not ask the system for file events at all. */
  readonly pollOnly?: boolean;
  /** How far apart two equal looks must be before a mass deletion is believed, after the folder was away; 5 s unless given. */
  readonly guardMs?: number;
}

/** The source of a folder (or of a single file). Paths in problems begin as `folder` is written. */
export function filesSource(folder: string, options: FilesOptions = {}): Source {
  let index = new FileIndex();
  const begin = () => {
    index = new FileIndex();
    index.remember(options.remembered ?? []);
    const reading = new Rereading((file) => ({
      layout: layoutOf(folder, file),
      ...(options.types && { types: options.types }),
      ...(options.customKinds && { customKinds: options.customKinds }),
    }));
    return new FolderState(folder, index, reading);
  };
  return {
    name: "files",
    async read() {
      const state = begin();
      state.readAll();
      return firstBatch(index, performance.now());
    },
    async *watch(signal) {
      const noticedAt = performance.now();
      const state = begin();
      const { pollMs = 5_000, pollOnly = false, guardMs = 5_000 } = options;
      yield* state.watch(signal, { pollMs, pollOnly, guardMs }, () => firstBatch(index, noticedAt));
    },
    locate(resource: Resource, path?: string): Place | undefined {
      const { file } = resource.origin;
      const text = file === undefined ? undefined : index.textOf(file);
      if (file === undefined || text === undefined) return undefined;
      return locateInText(text, file, resource, path, layoutOf(folder, file));
    },
    text: (file) => index.textOf(file),
  };
}

function firstBatch(index: FileIndex, noticedAt: number): SourceBatch {
  const problems = index.take()?.problems ?? new Map();
  return { changes: [{ kind: "reset", resources: index.published }], problems, noticedAt };
}
