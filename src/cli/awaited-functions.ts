// Routes may name functions that nobody wrote down: discovery finds them while Headworks runs. Where a folder is only read, nobody is
// asked, so that such a function is missing is no error of the folder.
import { create } from "@bufbuild/protobuf";
import { plainSpec } from "../admin/plain-spec.ts";
import type { Finding, Translation } from "../control-plane.ts";
import { fdsMode, isChosen } from "../discovery/function-plan.ts";
import { SettingsSchema } from "../gen/gloo/gloo/projects/gloo/api/v1/settings_pb.js";
import type { Problem } from "../model/problem.ts";
import { type Ref, type ResourceKey, resourceKey } from "../model/ref.ts";
import type { Resource, Spec } from "../model/resource.ts";
import { serviceSpecOf, takesServiceSpec } from "../plugin/serviceSpec.ts";

/** The findings of a translation that was made once: what discovery may mend is a warning. */
export function findingsOfFolder(translation: Translation): readonly Finding[] {
  const { findings } = translation;
  const awaited = findings.filter(({ problem }) => {
    const upstream = problem.severity === "error" ? calledUpstream(translation, problem.resource, problem.path) : undefined;
    return upstream !== undefined && awaitsFunctions(upstream, translation);
  });
  if (awaited.length === 0) return findings;
  const isRepeated = ({ repeats, message }: Problem) =>
    repeats !== undefined && awaited.some(({ problem }) => problem.resource === repeats && message.startsWith(problem.message));
  return findings.map((finding) =>
    awaited.includes(finding) || isRepeated(finding.problem)
      ? { ...finding, problem: { ...finding.problem, severity: "warning", hint } }
      : finding,
  );
}

const hint = "discovery asks for its functions while Headworks runs; whether this is one of them is not known here";

/** The Upstream of the destination that calls a function at this place. */
function calledUpstream({ resources }: Translation, key: ResourceKey | undefined, path = ""): Resource<"Upstream"> | undefined {
  const destination = /^(.+)\.destinationSpec\.(rest|aws)(\.functionName|\.logicalName)?$/.exec(path)?.[1];
  const caller = key && resources.get(key);
  if (destination === undefined || caller?.spec === undefined) return undefined;
  const steps = destination.split(/[.[\]]+/).filter((step) => step !== "");
  const at = steps.reduce<unknown>((holder, step) => (holder as Readonly<Record<string, unknown>> | undefined)?.[step], plainSpec(caller));
  const ref = (at as { readonly upstream?: Ref } | undefined)?.upstream;
  return ref && (resources.get(resourceKey("Upstream", ref)) as Resource<"Upstream"> | undefined);
}

function awaitsFunctions(upstream: Resource<"Upstream">, { resources }: Translation): boolean {
  const labelsOf = (name: string) => resources.get(resourceKey("Namespace", { namespace: "", name }))?.labels;
  return hasNoFunctions(upstream) && isChosen(upstream, fdsMode(settingsIn(resources)), labelsOf);
}

function settingsIn(resources: Translation["resources"]): Spec<"Settings"> {
  const usual = resources.get(resourceKey("Settings", { namespace: "gloo-system", name: "default" }));
  const all = usual === undefined ? [...resources.values()].filter(({ kind }) => kind === "Settings") : [usual];
  return ((all.length === 1 ? all[0]?.spec : undefined) as Spec<"Settings"> | undefined) ?? create(SettingsSchema);
}

function hasNoFunctions({ spec }: Resource<"Upstream">): boolean {
  if (spec?.upstreamType.case === "aws") return spec.upstreamType.value.lambdaFunctions.length === 0;
  if (spec === undefined || !takesServiceSpec(spec)) return false;
  const plugin = serviceSpecOf(spec)?.pluginType;
  return plugin?.case === undefined || (plugin.case === "rest" && Object.keys(plugin.value.transformations).length === 0);
}
