// `headworks migrate assess`: what of a Gloo installation runs as it is, what with a warning, what not. Writes nothing, anywhere.
import { schemaVersion } from "../admin/contract.ts";
import { findingJson } from "../admin/finding-json.ts";
import { type Finding, translateOnce } from "../control-plane.ts";
import type { Reason } from "../model/catalog.ts";
import type { Problem } from "../model/problem.ts";
import type { ResourceKey } from "../model/ref.ts";
import { type Assessment, assessObjects, summaryOf, wasRejected } from "./assess-objects.ts";
import { prettyAssessment } from "./assess-pretty.ts";
import type { Note } from "./assess-settings.ts";
import { findingsOfFolder } from "./awaited-functions.ts";
import { CommandError, exitCodes } from "./exit.ts";
import { loadPlugins } from "./plugins.ts";
import { painter, print, say } from "./terminal.ts";
import { openOnce, type Where } from "./where.ts";

export interface AssessOptions {
  readonly output: "pretty" | "json";
  /** Where Gloo is installed. */
  readonly namespace: string;
  readonly config?: string;
}

export async function assess(where: Where, options: AssessOptions): Promise<number> {
  const plugins = await loadPlugins(options.config);
  let mayReadSecrets = true;
  using opened = await openOnce(where, plugins, () => {
    mayReadSecrets = false;
  });
  const translation = await translateOnce({ source: opened.source, plugins });
  const findings = findingsOfFolder(translation);
  const known = mayReadSecrets ? findings : findings.filter(({ problem }) => !isAboutMissingSecret(problem));
  const objects = assessObjects(translation, known);
  const failing = objects.topics.filter(({ severity }) => severity === "error").flatMap(({ findings }) => findings);
  const keys = failing.flatMap(({ problem }) => problem.resource ?? []);
  const { notes, rejectedBefore } = await installationOf(where, options.namespace, keys);
  const assessment = { ...objects, rejectedBefore, notes: [...objects.notes, ...(mayReadSecrets ? [] : [noSecrets]), ...notes] };
  const total = summaryOf(assessment).resources;
  if (total === 0 && assessment.topics.length === 0) throw new CommandError(`there is nothing of Gloo in ${opened.name}`);
  if (options.output === "json") print(jsonOf(assessment));
  else print(prettyAssessment(assessment, opened.name, painter(process.stdout)));
  if (options.output === "pretty" && where.kind === "folders")
    say("only objects were looked at; --source kubernetes looks at definitions, controllers and proxies, too");
  return isBlocked(assessment) ? exitCodes.findings : exitCodes.ok;
}

const noSecrets: Note = {
  subject: "Secrets",
  what: "may not be read by you: whether those that are referred to are there, and right, was not looked at",
  advice: "Headworks itself needs the right to read them",
  weight: "differs",
};

const reasonsOfMissingSecrets: readonly string[] = [
  "SecretNotFound",
  "HeaderSecretNotFound",
  "TlsSecretNotFound",
  "CloudSecretNotFound",
  "AzureKeyMissing",
  "AiTokenMissing",
] satisfies Reason[];

function isAboutMissingSecret({ reason }: Problem): boolean {
  return reasonsOfMissingSecrets.includes(reason);
}

async function installationOf(
  where: Where,
  namespace: string,
  keys: readonly ResourceKey[],
): Promise<Pick<Assessment, "notes" | "rejectedBefore">> {
  if (where.kind !== "cluster") return { notes: [], rejectedBefore: new Set() };
  const { notesOnInstallation, rejectedOf } = await import("./assess-installation.ts");
  const [notes, rejectedBefore] = await Promise.all([notesOnInstallation(where.flags, namespace), rejectedOf(where.flags, keys)]);
  return { notes, rejectedBefore };
}

function isBlocked({ topics, notes }: Assessment): boolean {
  return topics.some(({ severity }) => severity === "error") || notes.some(({ weight }) => weight === "blocks");
}

function jsonOf(assessment: Assessment): string {
  const { kinds, topics, notes } = assessment;
  const json = (finding: Finding) => ({ ...findingJson(finding), ...(wasRejected(finding, assessment) && { rejectedBefore: true }) });
  const all = topics.map(({ findings, ...topic }) => ({ ...topic, findings: findings.map(json) }));
  return JSON.stringify({ schemaVersion, summary: summaryOf(assessment), kinds, topics: all, notes }, undefined, 2);
}
