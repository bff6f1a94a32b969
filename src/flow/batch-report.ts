// What one batch of changes did, in words for who watches.
import type { Finding } from "../control-plane.ts";
import type { BatchResult, Collection } from "../graph/mod.ts";
import { catalog } from "../model/catalog.ts";
import { type Problem, problemKey } from "../model/problem.ts";
import type { ResourceKey } from "../model/ref.ts";
import type { Source } from "../plugin/source.ts";
import { withoutEchoes } from "./echoes.ts";
import type { FileProblemChanges } from "./file-problems.ts";
import type { Flow } from "./flow.ts";
import { allKinds } from "./inputs.ts";
import type { Published } from "./publisher.ts";
import { byPlace, findingOf, nearNamesOf } from "./view.ts";

export interface BatchReport {
  /** Resources that were applied or deleted. */
  readonly changed: readonly ResourceKey[];
  /** Those of them that were deleted. */
  readonly removed: readonly ResourceKey[];
  /**
   * Findings that were not there before, about whatever resource; all there are, the first time. Of a file that was read anew and is no
   * resource (a text that is no YAML), all that hold.
   */
  readonly appeared: readonly Finding[];
  readonly resolved: readonly Finding[];
  /** Resources whose newest version is not in service, and an older one is. */
  readonly keptLastGood: readonly ResourceKey[];
  /** From the moment the source noticed until the consumers had it. */
  readonly milliseconds: number;
  /** Envoy resources handed on, for all proxies together. */
  readonly published: { readonly upserts: number; readonly removals: number };
  /** Where requests are taken may be another place than before. */
  readonly touchesListeners: boolean;
  readonly isFirst: boolean;
}

export interface SettledBatch {
  readonly result: BatchResult;
  readonly published: Published;
  readonly fileProblems: FileProblemChanges;
  readonly milliseconds: number;
  readonly isFirst: boolean;
}

export function batchReport(flow: Flow, sources: readonly Source[], batch: SettledBatch): BatchReport {
  const { result, published, fileProblems, milliseconds, isFirst } = batch;
  const { appeared, resolved, keptLastGood } = judgementsOf(flow, sources, result, isFirst);
  const changed = changedResources(flow, result);
  const { upserts, removals, touchesListeners } = published;
  return {
    changed,
    removed: changed.filter((key) => flow.given(key) === undefined),
    appeared: [...withoutStale(withoutEchoes(appeared), fileProblems.has), ...fileProblems.has.map(findingOfFile)].sort(byPlace),
    resolved: [...fileProblems.mended.map(findingOfFile), ...withoutStale(withoutEchoes(resolved), fileProblems.mended)],
    keptLastGood,
    milliseconds,
    published: { upserts, removals },
    touchesListeners,
    isFirst,
  };
}

export function changedResources(flow: Flow, result: BatchResult): ResourceKey[] {
  return allKinds.flatMap((kind) => [...result.changesOf(flow.inputs.given[kind] as Collection<unknown>).keys()] as ResourceKey[]);
}

/** A file that cannot be read is told once, not once more for each object that stays as it was; `keptLastGood` names those. */
function withoutStale(findings: readonly Finding[], ofFiles: readonly Problem[]): readonly Finding[] {
  if (ofFiles.length === 0) return findings;
  const files = new Set(ofFiles.map(({ at }) => at?.file));
  return findings.filter(({ problem }) => problem.code !== catalog.StaleObject.code || !files.has(problem.at?.file));
}

function findingOfFile(problem: Problem): Finding {
  return { problem, ...(problem.at && { place: problem.at }) };
}

function judgementsOf(flow: Flow, sources: readonly Source[], result: BatchResult, isFirst: boolean) {
  const appeared: Finding[] = [];
  const resolved: Finding[] = [];
  const keptLastGood: ResourceKey[] = [];
  const near = nearNamesOf(flow);
  for (const kind of allKinds) {
    const judgements = flow.judged[kind];
    const changes = isFirst
      ? judgements.entries().map(([key, after]) => [key, { before: undefined, after }] as const)
      : result.changesOf(judgements);
    for (const [key, { before, after }] of changes) {
      const had = new Set(before?.problems.map(problemKey));
      const has = new Set(after?.problems.map(problemKey));
      for (const each of after?.problems ?? []) if (!had.has(problemKey(each))) appeared.push(findingOf(flow, sources, near(each)));
      // A mistake that gave way to another of its kind is not resolved.
      const still = new Set(after?.problems.map(({ code }) => code));
      for (const each of before?.problems ?? []) if (!has.has(problemKey(each)) && !still.has(each.code)) resolved.push({ problem: each });
      if (after?.keepsLastGood) keptLastGood.push(key as ResourceKey);
    }
  }
  return { appeared, resolved, keptLastGood };
}
