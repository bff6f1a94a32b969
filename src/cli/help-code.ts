// `headworks help HW1003`: the page of a finding's code, from the catalog that findings are made with.
import { type CatalogEntry, catalog } from "../model/catalog.ts";
import { CommandError } from "./exit.ts";
import { painter, print, wrapped } from "./terminal.ts";

export function helpCode(topic: string): void {
  const [reason, entry] = find(topic);
  const paint = painter(process.stdout);
  // Examples are short lines, whose indentation counts.
  const lines = entry.help
    .trim()
    .split("\n")
    .flatMap((line) => (line.length <= 120 ? [line] : wrapped(line, 0)));
  print(`${paint("bold", `${entry.code}  ${entry.title}`)}   (${reason})\n\n${lines.join("\n")}\n`);
}

function find(topic: string): readonly [string, CatalogEntry] {
  const wanted = topic.toLowerCase();
  const entries: (readonly [string, CatalogEntry])[] = Object.entries(catalog);
  const found = entries.find(([reason, { code }]) => code.toLowerCase() === wanted || reason.toLowerCase() === wanted);
  if (found) return found;
  const near = entries
    .map(([, { code }]) => code)
    .filter((code) => wanted.length >= 3 && code.toLowerCase().startsWith(wanted.slice(0, 4)));
  const hint = near.length > 0 ? `There are ${near.sort().join(", ")}.` : "`headworks --help` lists the commands; codes look like HW1003.";
  throw new CommandError(`"${topic}" is neither a command nor the code of a finding`, 2, hint);
}
