// A command with the manners that all of ours have, and how help looks.
import { Command, type Option } from "commander";

export const helpStyle = { helpWidth: 110, optionDescription: describeShort };

/** -h: what it is for, its choices and its default. */
function describeShort({ description, argChoices, defaultValue }: Option): string {
  const choices = argChoices ? `: ${argChoices.join(", ")}` : "";
  const usual = defaultValue === undefined ? "" : ` (default: ${defaultValue})`;
  return `${description || "one of"}${choices}${usual}`;
}

/** --help: also the variable that sets it. */
function describeAll(option: Option): string {
  return `${describeShort(option)}${option.envVar ? ` [$${option.envVar}]` : ""}`;
}

/** Has a command and those below it say all there is. */
export function describeFully(command: Command): void {
  for (const each of command.commands) {
    each.configureHelp({ ...helpStyle, optionDescription: describeAll });
    describeFully(each);
  }
}

export function command(name: string, description: string): Command {
  return new Command(name)
    .description(description)
    .helpOption("-h, --help", "show help; --help shows more")
    .configureHelp(helpStyle)
    .exitOverride()
    .showHelpAfterError("(--help shows what there is)")
    .allowExcessArguments(false);
}

/** A command that only has others below it. */
export function group(name: string, description: string, ...commands: readonly Command[]): Command {
  const parent = command(name, description).helpCommand(false);
  for (const each of commands) parent.addCommand(each);
  return parent;
}

export function examples(lines: readonly (readonly [string, string])[]): string {
  const width = Math.max(...lines.map(([text]) => text.length));
  return `${lines.map(([text, what]) => `  ${what ? `${text.padEnd(width)}   ${what}` : text}`).join("\n")}\n`;
}

/** `a,b` and `--x a --x b` alike. */
export function commaList(value: string, before: readonly string[] = []): readonly string[] {
  const own = value
    .split(",")
    .map((each) => each.trim())
    .filter((each) => each !== "");
  return [...before, ...own];
}
