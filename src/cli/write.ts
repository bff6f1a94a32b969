// What all commands that write do: say what was done, and what the product itself has to say about it.
import { type Finding, translateOnce } from "../control-plane.ts";
import { problemKey } from "../model/problem.ts";
import { parseResourceKey, type Ref, type ResourceKey } from "../model/ref.ts";
import type { Plugins } from "../plugin/plugins.ts";
import { findingsOfFolder } from "./awaited-functions.ts";
import { CommandError, exitCodes } from "./exit.ts";
import { countOf } from "./findings.ts";
import { prettyFindings } from "./findings-pretty.ts";
import type { Store } from "./store.ts";
import { painter, print, say } from "./terminal.ts";

export interface WriteOptions {
  readonly namespace: string;
  readonly name?: string;
  readonly folder?: string;
  readonly file?: string;
  readonly dryRun?: boolean;
  readonly output?: ObjectFormat;
  readonly config?: string;
}

export type ObjectFormat = "yaml" | "kube-yaml" | "json" | "name";

/**
 * Writes, and shows the findings that this brought, and those about the object itself. They are no reason to write nothing: the order in
 * which things are made must not matter, and what is wrong costs only itself. Returns the exit code.
 */
export async function writeAndJudge(store: Store, plugins: Plugins, key: ResourceKey, write: () => Promise<string>): Promise<number> {
  const before = await findingsIn(store, plugins);
  say(await write());
  if (before === undefined) return exitCodes.ok;
  const known = new Set(before.findings.map(identity));
  const after = await findingsIn(store, plugins);
  const news = (after?.findings ?? []).filter((each) => each.problem.resource === key || !known.has(identity(each)));
  if (after === undefined || news.length === 0) return exitCodes.ok;
  say(prettyFindings({ findings: news, textOf: after.textOf }, painter(process.stderr)).trimEnd());
  return countOf(news, "error") > 0 ? exitCodes.findings : exitCodes.ok;
}

interface Judged {
  readonly findings: readonly Finding[];
  readonly textOf: (file: string) => string | undefined;
}

/** Undefined where not all can be read that it takes to judge. Who may write one thing need not be allowed to read the rest. */
async function findingsIn(store: Store, plugins: Plugins): Promise<Judged | undefined> {
  try {
    const translation = await translateOnce({ source: store.source, plugins });
    return { findings: findingsOfFolder(translation), textOf: (file) => translation.textOf(file) };
  } catch (error) {
    if (!(error instanceof CommandError)) throw error;
    say(`what it comes to is not looked at: ${error.message}`);
    return undefined;
  }
}

function identity({ problem }: Finding): string {
  return `${problem.resource ?? ""} ${problemKey(problem)}`;
}

/** Data on stdout, where it was asked for. */
export async function printObject(object: unknown, kind: string, ref: Ref, format: ObjectFormat | undefined): Promise<void> {
  switch (format) {
    case undefined:
      return;
    case "name":
      return print(`${kind.toLowerCase()}/${ref.name}`);
    case "json":
      return print(JSON.stringify(object, undefined, 2));
    case "yaml":
    case "kube-yaml": {
      const { yamlText } = await import("../lib/yaml-text.ts");
      return print(yamlText(object));
    }
  }
}

/** `Upstream shop/petstore` */
export function titleOf(key: ResourceKey): string {
  const { kind, ref } = parseResourceKey(key);
  return `${kind} ${ref.namespace}/${ref.name}`;
}

/** The name of what is written: an argument, or glooctl's --name. */
export function refOf(argument: string | undefined, options: Pick<WriteOptions, "name" | "namespace">, what: string): Ref {
  const { namespace } = options;
  if (argument !== undefined && options.name !== undefined && argument !== options.name)
    throw new CommandError(`the name is ${argument} or ${options.name}; say it once`);
  const name = argument ?? options.name;
  if (name === undefined) throw new CommandError(`${what} needs a name`);
  for (const [which, text] of [
    ["name", name],
    ["namespace", namespace],
  ] as const)
    if (!/^[a-z0-9]([-a-z0-9.]{0,251}[a-z0-9])?$/.test(text))
      throw new CommandError(
        `a ${which} is made of small letters, digits and "-", and begins and ends with a letter or digit; "${text}" is none`,
      );
  return { namespace, name };
}
