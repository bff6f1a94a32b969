// What is to be said about resources, for those who write it to where the resources are.
import type { BatchResult } from "../graph/mod.ts";
import { parseResourceKey, type ResourceKey } from "../model/ref.ts";
import type { Kind, Resource } from "../model/resource.ts";
import type { Verdicts } from "../status/kubernetes/writer.ts";
import type { Flow } from "./flow.ts";
import { allKinds } from "./inputs.ts";

/** `isWhole`: every source has spoken. Before that, there is nothing to say about anything. */
export function verdictsOf(flow: Flow, isWhole: () => boolean): Verdicts {
  return {
    of(key) {
      const judgement = isWhole() ? flow.judged[parseResourceKey(key).kind as Kind]?.get(key) : undefined;
      const resource = flow.given(key);
      if (judgement?.status === undefined || resource === undefined) return undefined;
      const generation = flow.generationOf(key);
      const type = typeOf(resource);
      return {
        status: judgement.status,
        problems: judgement.problems,
        ...(generation !== undefined && { generation }),
        ...(type !== undefined && { type }),
      };
    },
    *keys() {
      if (!isWhole()) return;
      for (const kind of allKinds)
        for (const [key, { status }] of flow.judged[kind].entries()) if (status !== undefined) yield key as ResourceKey;
    },
  };
}

/** Resources about which a batch has something new to say, or which are no more. */
export function judgedAnew(flow: Flow, result: BatchResult): ResourceKey[] {
  return allKinds.flatMap((kind) => [...result.changesOf(flow.judged[kind]).keys()] as ResourceKey[]);
}

function typeOf(resource: Resource): string | undefined {
  if (resource.kind !== "Upstream") return undefined;
  const { custom, spec } = resource as Resource<"Upstream">;
  return custom?.kind ?? spec?.upstreamType.case;
}
