// `headworks completion`: scripts for shells that ask `headworks complete WORDS` what may come next. What there is stands in the commands
// themselves, so the scripts never go out of date.
import type { Command, Option } from "commander";
import { kinds } from "../model/resource.ts";

export const shells = ["bash", "zsh", "fish"] as const;

export function completionScript(shell: (typeof shells)[number]): string {
  switch (shell) {
    case "bash":
      return `_headworks() {
  local IFS=$'\\n'
  COMPREPLY=($(compgen -W "$(headworks complete -- "\${COMP_WORDS[@]:1:COMP_CWORD}" 2>/dev/null)" -- "\${COMP_WORDS[COMP_CWORD]}"))
}
complete -o default -o bashdefault -F _headworks headworks
`;
    case "zsh":
      return `#compdef headworks
_headworks() {
  local -a found
  found=(\${(f)"$(headworks complete -- "\${(@)words[2,CURRENT]}" 2>/dev/null)"})
  if (( $#found )); then compadd -a found; else _files; fi
}
compdef _headworks headworks
`;
    case "fish":
      return `complete -c headworks -f -a '(headworks complete -- (commandline -opc)[2..] (commandline -ct) 2>/dev/null; or __fish_complete_path (commandline -ct))'
`;
  }
}

/** What may stand in the place of the last word. None: the shell's own completion of files. */
export function completions(root: Command, words: readonly string[]): string[] {
  const typed = words.at(-1) ?? "";
  const { command, rest } = descend(root, words.slice(0, -1));
  const before = rest.at(-1);
  const open = before?.startsWith("-") ? optionsOf(command).find((each) => each.short === before || each.long === before) : undefined;
  const candidates =
    open && !open.isBoolean() ? (open.argChoices ?? []) : typed.startsWith("-") ? namesOf(optionsOf(command)) : wordsOf(command, rest);
  return candidates.filter((each) => each.startsWith(typed)).sort();
}

function descend(root: Command, words: readonly string[]): { readonly command: Command; readonly rest: readonly string[] } {
  const [word, ...rest] = words;
  const next = root.commands.find((each) => each.name() === word || (word !== undefined && each.aliases().includes(word)));
  return next ? descend(next, rest) : { command: root, rest: words };
}

function optionsOf(command: Command): readonly Option[] {
  return command.createHelp().visibleOptions(command);
}

function namesOf(options: readonly Option[]): string[] {
  return options.flatMap(({ long }) => long ?? []);
}

function wordsOf(command: Command, rest: readonly string[]): string[] {
  const below = command.createHelp().visibleCommands(command);
  if (below.length > 0) return below.map((each) => each.name());
  const [first] = command.registeredArguments;
  const isKind = first?.name() === "kind" && !rest.some((word) => !word.startsWith("-"));
  return isKind ? Object.values(kinds).map(({ plural }) => plural) : [];
}
