// One JSON object a line, for machines.
import { pino } from "pino";
import { findingJson } from "../admin/finding-json.ts";
import type { Finding } from "../control-plane.ts";
import { countOf } from "./findings.ts";
import { isQuiet, type Narrator, type NarratorOptions } from "./narrator.ts";

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
    loaded({ findings: found, notServed, isForgetful, ...loaded }) {
      log.info({ ...loaded, errors: countOf(found, "error"), warnings: countOf(found, "warning") }, "loaded");
      findings(found);
      if (notServed.length === 0) return;
      const hint = isForgetful ? { hint: "with --state-dir DIR the last good version is remembered over restarts" } : {};
      log.warn(
        { notServed: notServed.slice(0, 20), count: notServed.length, ...hint },
        "not served: broken, and nothing is known from before",
      );
    },
    ready: (ready) => log.info(ready, "ready"),
    batch(report) {
      const { changed, removed, keptLastGood, milliseconds, published, appeared, resolved } = report;
      const fields = { changed: changed.slice(0, 20), changes: changed.length, milliseconds, ...published, resolved: resolved.length };
      const few = (name: string, keys: readonly string[]) => keys.length > 0 && { [name]: keys.slice(0, 20) };
      const more = { ...few("removed", removed), ...few("keptLastGood", keptLastGood) };
      if (!isQuiet(report) || published.upserts + published.removals > 0) log.info({ ...fields, ...more }, "configuration changed");
      findings(appeared);
    },
    moved: (gateways) => log.info({ gateways }, gateways.length > 0 ? "requests are taken elsewhere" : "no listener any more"),
    draining: (graceSeconds) => log.info({ graceSeconds }, "draining"),
  };
}
