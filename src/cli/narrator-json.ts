// One JSON object a line, for machines.
import { pino } from "pino";
import { findingJson } from "../admin/finding-json.ts";
import type { Finding } from "../control-plane.ts";
import type { BatchReport } from "../flow/batch-report.ts";
import { countOf } from "./findings.ts";
import type { GatewayUrl } from "./gateway-urls.ts";
import { isQuiet, type Narrator, type NarratorOptions, nothingFoundCure } from "./narrator.ts";

export function jsonNarrator({ level }: NarratorOptions): Narrator {
  // Synchronous: the last lines before an end are the ones that matter.
  const stderr = pino.destination({ fd: 2, sync: true });
  // Who reads the log may go away; that must not end a gateway.
  stderr.on("error", () => {});
  const log = pino({ level, base: undefined, timestamp: pino.stdTimeFunctions.isoTime }, stderr);
  const findings = (all: readonly Finding[]) => {
    for (const finding of all) {
      const { message, severity, ...fields } = findingJson(finding);
      if (severity === "error") log.error(fields, message);
      else log.warn(fields, message);
    }
  };
  return {
    log,
    get level() {
      return log.level;
    },
    set level(value) {
      log.level = value;
    },
    loaded({ findings: found, notServed, isForgetful, nothingIn, ...loaded }) {
      log.info({ ...loaded, errors: countOf(found, "error"), warnings: countOf(found, "warning") }, "loaded");
      findings(found);
      if (nothingIn !== undefined)
        log.warn({ folder: nothingIn, hint: nothingFoundCure }, "nothing of gloo.solo.io was found; the folder is watched");
      if (notServed.length === 0) return;
      const hint = isForgetful ? { hint: "with --state-dir DIR the last good version is remembered over restarts" } : {};
      log.warn(
        { notServed: notServed.slice(0, 20), count: notServed.length, ...hint },
        "not served: broken, and nothing is known from before",
      );
    },
    ready: ({ gateways, ...ready }) => log.info({ ...placesOf(gateways), ...ready }, "ready"),
    batch(report) {
      const { changed, removed, keptLastGood, milliseconds, published, appeared, resolved } = report;
      const fields = {
        changed: changed.slice(0, 20),
        changes: changed.length,
        milliseconds: rounded(milliseconds),
        ...published,
        resolved: resolved.length,
      };
      const few = (name: string, keys: readonly string[]) => keys.length > 0 && { [name]: keys.slice(0, 20) };
      const more = { ...few("removed", removed), ...few("keptLastGood", keptLastGood) };
      if (!isQuiet(report) || published.upserts + published.removals > 0) log.info({ ...fields, ...more }, whatChanged(report));
      findings(appeared);
    },
    moved(gateways, failures) {
      if (gateways.length > 0) log.info(placesOf(gateways), "requests are taken elsewhere");
      else log.warn({ ...placesOf(gateways), failures }, "no listener any more");
    },
    draining: (graceSeconds) => log.info({ graceSeconds }, "draining"),
  };
}

function placesOf(gateways: readonly GatewayUrl[]) {
  return { gateways: gateways.map(({ url }) => url), listening: gateways.map(({ listensOn }) => listensOn) };
}

/** To a tenth: a change is live in a millisecond or two. */
function rounded(milliseconds: number): number {
  return Math.round(milliseconds * 10) / 10;
}

/** Without a change of the configuration: addresses, what was discovered, or what there is to say about it. */
function whatChanged({ changed, published }: BatchReport): string {
  if (changed.length > 0) return "configuration changed";
  return published.upserts + published.removals > 0 ? "what is served changed" : "findings changed";
}
