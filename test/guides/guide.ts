// Guides that cannot rot: every code block of docs/guides/*.md is executed, from top to bottom, in a copy of a checkout.
//
//   ```ts examples/x/x.ts     a file: is written there; all TypeScript is type-checked when the guide is through
//   ```sh                     commands, one a line: run in the root of the checkout, each must succeed. `npm test -- …` and
//                             `npm run -s headworks -- …` are ours without their set-up. A line that ends with ` &` goes on beside
//                             the rest, which waits until it says "ready" or where it listens, and is ended with the guide
//   ```text                   after ```sh: its lines are in what the commands printed, in this order
//
// Another block is an error: nobody would execute it. `<!-- ports: 8080, 9000 -->` gives a run free ports in the place of these
// numbers, wherever they are written. A guide whose blocks need more than a checkout (a cluster, say) names the test that tries them:
// `<!-- tried by: test/e2e/x.test.ts -->`.
import { type ChildProcess, spawn } from "node:child_process";
import { cpSync, mkdirSync, mkdtempSync, readdirSync, rmSync, symlinkSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { delimiter, dirname, join } from "node:path";
import { freePorts } from "../servers/ports.ts";

export type Step =
  | { readonly kind: "file"; readonly line: number; readonly path: string; readonly text: string }
  | { readonly kind: "commands"; readonly line: number; readonly commands: readonly string[] }
  | { readonly kind: "output"; readonly line: number; readonly lines: readonly string[] };

/** The test of its own that tries what a guide says; undefined: it is executed here. */
export function ownTest(markdown: string): string | undefined {
  return /^<!-- tried by: (\S+) -->$/m.exec(markdown)?.[1];
}

/** What a guide says to do. Throws where a block is none of the above. */
export function stepsOf(markdown: string): Step[] {
  const steps: Step[] = [];
  for (const match of markdown.matchAll(/^(`{3,})([^`\n]*)\n([\s\S]*?)^\1$/gm)) {
    const [, , info = "", text = ""] = match;
    const line = markdown.slice(0, match.index).split("\n").length;
    const [language = "", path, ...rest] = info.trim().split(" ");
    const isAfterCommands = steps.at(-1)?.kind === "commands";
    if (rest.length === 0 && path !== undefined) steps.push({ kind: "file", line, path, text });
    else if (language === "sh") steps.push({ kind: "commands", line, commands: linesOf(text.replaceAll("\\\n", " ")) });
    else if (language === "text" && isAfterCommands) steps.push({ kind: "output", line, lines: linesOf(text) });
    else throw new Error(`line ${line}: nobody executes a block of "${info}"; name the file it is: "${language || "ts"} path"`);
  }
  return steps;
}

/** Carries a guide out. Throws at the first step that does not do what the guide says, with its line. */
export async function follow(markdown: string, repository: string): Promise<void> {
  const text = await withFreePorts(markdown);
  await using checkout = copyOf(repository);
  let printed = "";
  for (const step of stepsOf(text)) {
    try {
      if (step.kind === "file") checkout.write(step.path, step.text);
      if (step.kind === "commands") {
        printed = "";
        for (const command of step.commands) printed += await checkout.run(command);
      }
      if (step.kind === "output") compare(printed, step.lines);
    } catch (error) {
      throw new Error(`line ${step.line}: ${(error as Error).message}`, { cause: error });
    }
  }
  await checkout.typeCheck();
}

function linesOf(text: string): string[] {
  return text.split("\n").flatMap((each) => (each.trim() === "" ? [] : [each.trim()]));
}

async function withFreePorts(markdown: string): Promise<string> {
  const [, list] = /^<!-- ports: ([\d, ]+) -->$/m.exec(markdown) ?? [];
  if (list === undefined) return markdown;
  const written = list.split(",").map((each) => each.trim());
  const free = await freePorts(written.length);
  return written.reduce((text, port, i) => text.replaceAll(new RegExp(`\\b${port}\\b`, "g"), String(free[i])), markdown);
}

function compare(printed: string, expected: readonly string[]): void {
  let from = 0;
  for (const line of expected) {
    const at = printed.indexOf(line, from);
    if (at === -1) throw new Error(`this was not printed, or not in this order: ${line}\nprinted was:\n${printed}`);
    from = at + line.length;
  }
}

interface Checkout extends AsyncDisposable {
  write(path: string, text: string): void;
  /** What it printed. */
  run(command: string): Promise<string>;
  typeCheck(): Promise<void>;
}

/** Links to everything, but folders that guides write into are real ones. */
function copyOf(repository: string): Checkout {
  const root = mkdtempSync(join(tmpdir(), "guide-"));
  const own = ["examples"];
  for (const name of readdirSync(repository)) {
    if (name === ".git" || own.includes(name)) continue;
    symlinkSync(join(repository, name), join(root, name));
  }
  for (const name of own) cpSync(join(repository, name), join(root, name), { recursive: true });
  const shims = join(root, ".shims");
  mkdirSync(shims);
  writeFileSync(join(shims, "npm"), npmShim, { mode: 0o755 });
  const kept = Object.entries(process.env).filter(([name]) => !/^(VITEST|NODE_OPTIONS|TEST$|NODE_ENV$)/.test(name));
  const path = [shims, join(repository, "node_modules/.bin"), process.env.PATH].join(delimiter);
  const env = { ...Object.fromEntries(kept), PATH: path, NO_COLOR: "1" };
  const typed = new Set<string>();
  const background: ChildProcess[] = [];
  const start = (command: string) => {
    const child = spawn("sh", ["-c", command], { cwd: root, env, stdio: ["ignore", "pipe", "pipe"] });
    let printed = "";
    const closed = new Promise<number | null>((resolve) => child.once("close", resolve));
    const said = Promise.withResolvers<void>();
    for (const stream of [child.stdout, child.stderr]) {
      stream.setEncoding("utf8").on("data", (chunk: string) => {
        printed += chunk;
        if (/\bready\b|http:\/\//.test(printed)) said.resolve();
      });
    }
    return { child, closed, said: said.promise, printed: () => printed };
  };
  const failed = (command: string, code: number | null, printed: string) => new Error(`"${command}" ended with ${code}:\n${printed}`);
  return {
    write(file, text) {
      mkdirSync(dirname(join(root, file)), { recursive: true });
      writeFileSync(join(root, file), text);
      if (file.endsWith(".ts")) typed.add(file);
    },
    async run(line) {
      const isBackground = line.endsWith(" &");
      const command = isBackground ? line.slice(0, -2) : line;
      // By "exec" what is ended is the program, not the shell around it.
      const { child, closed, said, printed } = start(isBackground ? `exec ${command}` : command);
      if (isBackground) {
        background.push(child);
        const code = await Promise.race([said, closed]);
        if (code !== undefined) throw failed(command, code, printed());
        return printed();
      }
      const code = await closed;
      if (code !== 0) throw failed(command, code, printed());
      return printed();
    },
    async typeCheck() {
      if (typed.size === 0) return;
      writeFileSync(join(root, "tsconfig.guide.json"), JSON.stringify({ extends: "./tsconfig.json", include: [...typed] }));
      const { closed, printed } = start("tsc -p tsconfig.guide.json");
      await closed;
      // What else it imports is for others to mend.
      const own = printed()
        .split("\n")
        .filter((line) => [...typed].some((file) => line.startsWith(file)));
      if (own.length > 0) throw new Error(`the guide's TypeScript has errors:\n${own.join("\n")}`);
    },
    async [Symbol.asyncDispose]() {
      await Promise.all(
        background.map(async (child) => {
          if (child.exitCode !== null || child.signalCode !== null) return;
          const ended = new Promise((resolve) => child.once("close", resolve));
          child.kill("SIGTERM");
          await ended;
        }),
      );
      rmSync(root, { recursive: true, force: true });
    },
  };
}

/** The scripts of npm that guides use, without their set-up and in the copy. */
const npmShim = `#!/bin/sh
case "$*" in
"test -- "*) shift 2; exec vitest run "$@" ;;
"run -s headworks -- "*) shift 4; exec node src/main.ts "$@" ;;
esac
echo "the test of guides does not know: npm $*" >&2
exit 1
`;
