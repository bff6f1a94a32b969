// Where a folder is only read, nobody is asked for functions, so that one is missing which discovery may find is no error of the folder.
import { create } from "@bufbuild/protobuf";
import type { Finding, Translation } from "../control-plane.ts";
import { withAwaited } from "../flow/awaited-functions.ts";
import { SettingsSchema } from "../gen/gloo/gloo/projects/gloo/api/v1/settings_pb.js";
import { resourceKey } from "../model/ref.ts";
import type { Spec } from "../model/resource.ts";

/** The findings of a translation that was made once: what discovery may mend is a warning. */
export function findingsOfFolder({ findings, resources }: Translation): readonly Finding[] {
  const problems = findings.map(({ problem }) => problem);
  const told = withAwaited(problems, { resourceOf: (key) => resources.get(key), settings: settingsIn(resources) });
  if (told === problems) return findings;
  return findings.map((finding, i) => ({ ...finding, problem: told[i] ?? finding.problem }));
}

function settingsIn(resources: Translation["resources"]): Spec<"Settings"> {
  const usual = resources.get(resourceKey("Settings", { namespace: "gloo-system", name: "default" }));
  const all = usual === undefined ? [...resources.values()].filter(({ kind }) => kind === "Settings") : [usual];
  return ((all.length === 1 ? all[0]?.spec : undefined) as Spec<"Settings"> | undefined) ?? create(SettingsSchema);
}
