// The lines that a person reads while `run` runs.
import type { Finding } from "../control-plane.ts";
import type { BatchReport } from "../flow/batch-report.ts";
import { parseResourceKey, type ResourceKey } from "../model/ref.ts";
import { countsOf } from "./findings.ts";
import { prettyFinding, whereOf } from "./findings-pretty.ts";
import type { GatewayUrl } from "./gateway-urls.ts";
import { isQuiet, type Loaded, type Narrator, type NarratorOptions, nothingFoundCure, type Ready } from "./narrator.ts";
import { count, painter, say } from "./terminal.ts";

const levels = ["trace", "debug", "info", "warn", "error", "fatal", "silent"];

/** More than this many findings at once are counted, not shown; `check` shows all. */
const mostFindings = 20;

export function prettyNarrator({ level, textOf }: NarratorOptions): Narrator {
  const paint = painter(process.stderr);
  const line = (text: string) => say(`  ${paint("dim", clock())} ${text}`);
  const findings = (all: readonly Finding[]) => {
    for (const finding of all.slice(0, mostFindings)) for (const each of prettyFinding(finding, textOf, paint)) say(`  ${each}`);
    if (all.length > mostFindings) say(`  … and ${all.length - mostFindings} more; headworks check shows all`);
  };
  const logAt = (name: string) => (fields: object, message: string) => {
    if (levels.indexOf(name) >= levels.indexOf(narrator.level)) line(`${labelOf(name)}${message}${fieldsText(fields)}`);
  };
  const labelOf = (name: string) => {
    if (name === "error") return `${paint("red", "ERROR")} `;
    return name === "warn" ? `${paint("yellow", "WARN")}  ` : "";
  };
  const narrator: Narrator = {
    level,
    log: { debug: logAt("debug"), info: logAt("info"), warn: logAt("warn"), error: logAt("error") },
    loaded({ resources, files, from, milliseconds, findings: found, notServed, isForgetful, nothingIn }: Loaded) {
      line(`loaded ${count(resources, "resource")} from ${from ?? count(files, "file")} in ${milliseconds} ms · ${countsOf(found)}`);
      findings(found);
      if (nothingIn !== undefined)
        line(`${labelOf("warn")}nothing of gloo.solo.io was found in ${nothingIn}, which is watched; ${nothingFoundCure}`);
      if (notServed.length === 0) return;
      const some = notServed.length > 3 ? `, and ${notServed.length - 3} more` : "";
      const cure = isForgetful ? "; with --state-dir DIR the last good version would be" : "";
      line(`${paint("yellow", "not served")}: ${notServed.slice(0, 3).join(", ")}${some}${cure}`);
    },
    ready({ gateways, proxy, admin, xds, watching, failures = [] }: Ready) {
      const none = `no listener yet: ${whyNone(failures)}`;
      const parts = [
        `${paint("green", "ready")}  ${placesText(gateways) || none} (${proxy})`,
        ...(xds ? [`xDS ${xds}`] : []),
        ...(admin ? [`admin ${admin}`] : []),
        `watching ${watching.join(", ")}`,
      ];
      line(parts.join(" · "));
    },
    batch(report) {
      if (isQuiet(report)) return;
      line(
        `${changedText(report)} · ${report.published.upserts + report.published.removals > 0 ? `live in ${milliseconds(report)}` : "nothing to send"}`,
      );
      findings(report.appeared);
      if (report.keptLastGood.length > 0) say(`      ${keptText(report)}`);
      for (const finding of report.resolved.slice(0, mostFindings))
        say(`  ${paint("green", "✔")} ${whereOf(finding)}  ${finding.problem.code} is resolved`);
      if (report.resolved.length > mostFindings) say(`  ${paint("green", "✔")} … and ${report.resolved.length - mostFindings} more`);
    },
    moved(gateways, failures) {
      if (gateways.length > 0) return line(`requests are taken at ${placesText(gateways)}`);
      line(`${paint("yellow", "no listener any more")}: ${whyNone(failures)}`);
    },
    draining: (grace) => line(`draining: no new requests; those in flight have ${grace} s (again: end now)`),
  };
  return narrator;
}

/** `http://127.0.0.1:8080 (all addresses, [::]:8080)` */
function placesText(gateways: readonly GatewayUrl[]): string {
  return gateways.map(({ url, isEverywhere, listensOn }) => (isEverywhere ? `${url} (all addresses, ${listensOn})` : url)).join(" ");
}

function whyNone(failures: readonly string[]): string {
  return failures.length > 0 ? failures.join("; ") : "no Gateway has a VirtualService to serve";
}

function changedText({ changed, removed }: BatchReport): string {
  const [first] = changed;
  if (first === undefined) return "findings changed";
  const how = removed.length === changed.length ? "removed" : "changed";
  const some = removed.length > 0 && how === "changed" ? `, ${removed.length} of them removed` : "";
  return changed.length === 1 ? `${first} ${how}` : `${count(changed.length, "resource")} ${how}${some}`;
}

function keptText({ keptLastGood, changed }: BatchReport): string {
  const names = keptLastGood.slice(0, 3).map(shortName).join(", ");
  const kept =
    keptLastGood.length > 3
      ? `${names} and ${keptLastGood.length - 3} more keep`
      : `${names} ${keptLastGood.length === 1 ? "keeps" : "keep"}`;
  const others = changed.filter((key) => !keptLastGood.includes(key)).length;
  const version = keptLastGood.length === 1 ? "its last good version" : "their last good versions";
  return `${kept} serving ${version}${others > 0 ? `; ${count(others, "other resource")} updated` : ""}.`;
}

function shortName(key: ResourceKey): string {
  const { kind, ref } = parseResourceKey(key);
  return `${kind} ${ref.namespace}/${ref.name}`;
}

function milliseconds({ milliseconds: ms }: BatchReport): string {
  return ms < 10 ? `${ms.toFixed(1)} ms` : `${Math.round(ms)} ms`;
}

function fieldsText(fields: object): string {
  return Object.entries(fields)
    .map(([key, value]) => ` ${key}=${typeof value === "string" ? value : JSON.stringify(value)}`)
    .join("");
}

function clock(): string {
  return new Date().toTimeString().slice(0, 8);
}
