// What a change would do, without doing it: for those who may still say no to it.
import type { BatchResult } from "../graph/mod.ts";
import type { Change } from "../model/change.ts";
import { type Problem, problemKey } from "../model/problem.ts";
import type { ResourceKey } from "../model/ref.ts";
import { withAwaited } from "./awaited-functions.ts";
import type { Flow } from "./flow.ts";
import { allKinds } from "./inputs.ts";

/** The findings that would hold after the change and do not hold now, of all resources. What discovery may mend is a warning. */
export function problemsOfTrial(flow: Flow, source: string, change: Exclude<Change, { kind: "reset" }>): readonly Problem[] {
  const { edit, undo } = flow.thought(source, change);
  return flow.graph.trial(
    edit,
    (result) => withAwaited(appeared(flow, result), { resourceOf: (key) => flow.given(key), settings: flow.settings.value }),
    undo,
  );
}

function appeared(flow: Flow, result: BatchResult): readonly Problem[] {
  return allKinds.flatMap((kind) =>
    [...result.changesOf(flow.judged[kind])].flatMap(([resource, { before, after }]) => {
      const had = new Set(before?.problems.map(problemKey));
      return (after?.problems ?? [])
        .filter((each) => !had.has(problemKey(each)))
        .map((each) => (each.resource ? each : { ...each, resource: resource as ResourceKey }));
    }),
  );
}
