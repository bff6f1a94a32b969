// Kinds as people type them: `upstream`, `upstreams`, `us`.
import { closest } from "../lib/closest.ts";
import { type ApiKind, kinds } from "../model/resource.ts";
import { CommandError, exitCodes } from "./exit.ts";

export function kindOf(text: string): ApiKind {
  const wanted = text.toLowerCase();
  const names = (Object.keys(kinds) as ApiKind[]).map(
    (kind) => [kind, [kind.toLowerCase(), kinds[kind].plural, ...kinds[kind].shortNames]] as const,
  );
  const found = names.find(([, all]) => all.includes(wanted))?.[0];
  if (found) return found;
  const near = closest(
    wanted,
    names.flatMap(([, all]) => all),
  );
  throw new CommandError(
    `there is no kind "${text}"${near ? `; did you mean ${near}?` : ""}`,
    exitCodes.usage,
    `Kinds: ${names.map(([kind]) => kinds[kind].plural).join(", ")}.`,
  );
}
