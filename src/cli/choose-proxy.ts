// Which proxy of a configuration a command is about.
import { defaultProxy } from "../admin/views.ts";
import type { Translation } from "../control-plane.ts";
import type { ProxyKey } from "../model/envoy-resource.ts";
import { CommandError, exitCodes } from "./exit.ts";
import { say } from "./terminal.ts";

/** The one that is named, or the usual one; undefined where there is none. Says so where there are others. */
export function chooseProxy(translation: Translation, wanted: string | undefined): ProxyKey | undefined {
  const all = [...translation.proxies.keys()].sort();
  if (wanted !== undefined) {
    const matching = all.filter((key) => key === wanted || key.endsWith(`~${wanted}`));
    if (matching.length === 1) return matching[0];
    throw new CommandError(
      matching.length === 0 ? `there is no proxy ${wanted}` : `${wanted} may be any of ${matching.join(", ")}`,
      exitCodes.usage,
      `The proxies of this configuration: ${all.join(", ") || "none"}.`,
    );
  }
  const chosen = defaultProxy(translation);
  if (all.length > 1) say(`this is ${chosen}; there are also ${all.filter((key) => key !== chosen).join(", ")} (--proxy-name)`);
  return chosen;
}
