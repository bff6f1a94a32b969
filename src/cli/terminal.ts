// The two streams: data goes to stdout, everything said to a person goes to stderr. Colour follows NO_COLOR, FORCE_COLOR, TERM and
// whether the stream is a terminal; `--color` outranks them.
import { styleText } from "node:util";
import { exitCodes } from "./exit.ts";

export type Style = Parameters<typeof styleText>[0];
export type Paint = (style: Style, text: string) => string;

export function painter(stream: NodeJS.WriteStream): Paint {
  return (style, text) => styleText(style, text, { stream });
}

/** Data. */
export function print(text: string): void {
  process.stdout.write(text.endsWith("\n") ? text : `${text}\n`);
}

/** Words for a person. */
export function say(text: string): void {
  process.stderr.write(`${text}\n`);
}

/** `--color always|never` in terms of the variables that Node itself honours. */
export function setColor(when: "auto" | "always" | "never"): void {
  if (when === "auto") return;
  delete process.env.NO_COLOR;
  delete process.env.FORCE_COLOR;
  if (when === "never") process.env.NO_COLOR = "1";
  else process.env.FORCE_COLOR = "1";
}

/**
 * A reader that has seen enough (`| head -1`) closes the pipe; that is no failure, and a full disk is none of ours. Who reads the log may go away as well, and that must
 * not end a gateway.
 */
export function endQuietlyOnClosedPipe(): void {
  process.stdout.on("error", (error: NodeJS.ErrnoException) => {
    if (error.code === "EPIPE") process.exit(0);
    say(`error: the output cannot be written: ${error.message}`);
    process.exit(exitCodes.usage);
  });
  process.stderr.on("error", () => {});
}

/** `1 error`, `2 errors` */
export function count(n: number, word: string): string {
  return `${n} ${word}${n === 1 ? "" : "s"}`;
}

/** Lines of a paragraph, as wide as people read. */
export function wrapped(text: string, indent: number, width = 120): string[] {
  const lines: string[] = [];
  let line = "";
  for (const word of text.split(/\s+/)) {
    if (line !== "" && indent + line.length + 1 + word.length > width) {
      lines.push(line);
      line = word;
    } else line = line === "" ? word : `${line} ${word}`;
  }
  return [...lines, line].filter((each) => each !== "").map((each) => `${" ".repeat(indent)}${each}`);
}
