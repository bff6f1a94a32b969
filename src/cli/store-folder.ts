// Writing to a folder: files of its owner, in which everything but the change stays as it is.
import { randomBytes } from "node:crypto";
import { chmodSync, existsSync, mkdirSync, readFileSync, realpathSync, renameSync, rmSync, statSync, writeFileSync } from "node:fs";
import { basename, dirname, isAbsolute, join, relative, resolve, sep } from "node:path";
import type { KubeObject } from "../lib/kubernetes/object.ts";
import { type ApiKind, kinds, type Resource } from "../model/resource.ts";
import { customKinds } from "../plugin/config.ts";
import type { Plugins } from "../plugin/plugins.ts";
import { filesSource } from "../sources/files/files.ts";
import { CommandError, exitCodes } from "./exit.ts";
import { openFolder, resourcesOfBatch } from "./folders.ts";
import { edited, type ListEdit } from "./list-edit.ts";
import { type Store, taken } from "./store.ts";
import { appendToYaml, editYaml, removeFromYaml, type Wanted } from "./yaml-edit.ts";

export function folderStore(folder: string, plugins: Plugins): Store {
  openFolder(folder, plugins); // throws where it cannot be read
  const isFile = statSync(folder).isFile();
  const source = filesSource(folder, { customKinds: customKinds(plugins) });
  const all = async () => resourcesOfBatch(await source.read());
  const list = async (kind: ApiKind) => (await all()).filter((each) => each.kind === kind);
  return {
    name: folder,
    source,
    list,
    async create(object, named) {
      const kind = object.kind as ApiKind;
      const { name, namespace = "default" } = object.metadata;
      const same = (await list(kind)).find(({ ref }) => ref.name === name && ref.namespace === namespace);
      if (same) throw taken(kind, same.ref, placeOf(source.locate(same)) ?? same.origin.file ?? folder);
      const file = isFile ? folder : fileFor(folder, object, named);
      const isThere = existsSync(file);
      if (isThere && named === undefined && !isFile)
        throw new CommandError(`${file} is there already, and holds something else; name a file with --file`, exitCodes.refused);
      writeFile(file, withObject(isThere ? readFileSync(file, "utf8") : "", file, object), kind === "Secret");
      return file;
    },
    async edit(resource, edit, dryRun) {
      const file = fileOf(resource);
      const text = readFileSync(file, "utf8");
      const changed = isJson(file) ? editJson(text, resource, edit) : editYaml(text, wantedOf(resource, file), edit);
      if (changed === undefined) throw lost(resource, file);
      if (!dryRun) writeFile(file, changed);
      return { place: file, object: await objectIn(changed, resource, file) };
    },
    async delete(resource) {
      const file = fileOf(resource);
      const text = readFileSync(file, "utf8");
      const rest = isJson(file) ? removeFromJson(text, resource) : removeFromYaml(text, wantedOf(resource, file));
      if (rest === undefined) throw lost(resource, file);
      if (rest === "" && !isFile) rmSync(file);
      else writeFile(file, rest);
      return file;
    },
    [Symbol.dispose]: () => undefined,
  };
}

/** Gloo's own layout, in which names cannot meet: `upstreams/gloo-system/petstore.yaml`. */
function fileFor(folder: string, object: KubeObject, named: string | undefined): string {
  if (named === undefined) {
    const { namespace = "default", name } = object.metadata;
    return join(folder, kinds[object.kind as ApiKind].plural, namespace, `${name}.yaml`);
  }
  const file = join(folder, named);
  const parts = relative(resolve(folder), resolve(file)).split(sep);
  if (isAbsolute(named) || parts[0] === "..") throw new CommandError(`--file is a file within ${folder}; ${named} is not`);
  if (parts.some((part) => part.startsWith(".")))
    throw new CommandError(`--file has a name that begins with a dot, and nobody reads those; it is ${named}`);
  if (!/\.(ya?ml|json)$/i.test(file)) throw new CommandError(`--file ends in .yaml, .yml or .json, or nobody reads it; it is ${named}`);
  return file;
}

function withObject(text: string, file: string, object: KubeObject): string {
  if (!isJson(file)) return appendToYaml(text, object);
  if (text.trim() === "") return jsonText(object);
  const root = JSON.parse(text) as { kind?: string; items?: unknown[] };
  return jsonText(
    root.kind === "List" ? { ...root, items: [...(root.items ?? []), object] } : { apiVersion: "v1", kind: "List", items: [root, object] },
  );
}

/** In one step: who follows the folder never sees half of it, and a full disk costs nothing that was there. */
function writeFile(named: string, text: string, isSecret = false): void {
  // A link stays a link.
  const file = existsSync(named) ? realpathSync(named) : named;
  // Where others may write too, nobody knows its name before it is there, or it would be theirs: "wx" makes it or fails.
  const beside = join(dirname(file), `.${basename(file)}.${randomBytes(8).toString("hex")}.tmp`);
  try {
    mkdirSync(dirname(file), { recursive: true });
    writeFileSync(beside, text, { mode: isSecret ? 0o600 : 0o666, flag: "wx" });
    if (existsSync(file)) chmodSync(beside, statSync(file).mode);
    renameSync(beside, file);
  } catch (error) {
    rmSync(beside, { force: true });
    throw new CommandError(`${named} cannot be written: ${(error as Error).message}`, exitCodes.usage);
  }
}

function fileOf({ origin, key }: Resource): string {
  if (origin.file !== undefined) return origin.file;
  throw new CommandError(`${key} stands in no file`, exitCodes.refused);
}

function wantedOf({ kind, ref }: Resource, file: string): Wanted {
  const isAlone = basename(file).replace(/\.[^.]+$/, "") === ref.name;
  return { kind: kind === "Artifact" ? "ConfigMap" : kind, namespace: ref.namespace, name: ref.name, isAlone };
}

function lost({ key }: Resource, file: string): CommandError {
  return new CommandError(`${key} was read from ${file}, and is not to be found in its text; edit it by hand`, exitCodes.refused);
}

async function objectIn(text: string, resource: Resource, file: string): Promise<unknown> {
  if (isJson(file)) return objectsOfJson(JSON.parse(text)).find((each) => isIt(each, resource));
  const { parseAllDocuments } = await import("yaml");
  const documents = parseAllDocuments(text).map((each) => each.toJS() as unknown);
  return documents.flatMap(objectsOfJson).find((each) => isIt(each, resource)) ?? documents[0];
}

type Json = Readonly<Record<string, unknown>>;

function isJson(file: string): boolean {
  return /\.json$/i.test(file);
}

function objectsOfJson(root: unknown): unknown[] {
  if (Array.isArray(root)) return root;
  const { items } = (root ?? {}) as Json;
  return Array.isArray(items) ? items : [root];
}

function isIt(object: unknown, { kind, ref }: Resource): boolean {
  const { kind: own, metadata } = (object ?? {}) as Json;
  const { name, namespace } = (metadata ?? {}) as Json;
  return (own === undefined || own === kind) && name === ref.name && (namespace === undefined || namespace === ref.namespace);
}

function editJson(text: string, resource: Resource, edit: ListEdit): string | undefined {
  return mapJson(text, (objects) => {
    const at = objects.findIndex((each) => isIt(each, resource));
    return at === -1 ? undefined : objects.with(at, edited(objects[at], edit));
  });
}

function removeFromJson(text: string, resource: Resource): string | undefined {
  return mapJson(text, (objects) => {
    const at = objects.findIndex((each) => isIt(each, resource));
    return at === -1 ? undefined : objects.toSpliced(at, 1);
  });
}

/** "" where nothing is left. */
function mapJson(text: string, change: (objects: unknown[]) => unknown[] | undefined): string | undefined {
  const root = JSON.parse(text) as unknown;
  const changed = change(objectsOfJson(root));
  if (changed === undefined) return undefined;
  if (changed.length === 0) return "";
  if (Array.isArray(root)) return jsonText(changed);
  return jsonText(Array.isArray((root as Json).items) ? { ...(root as Json), items: changed } : changed[0]);
}

function jsonText(value: unknown): string {
  return `${JSON.stringify(value, undefined, 2)}\n`;
}

function placeOf(place: { readonly file: string; readonly line: number; readonly column: number } | undefined): string | undefined {
  return place && `${place.file}:${place.line}:${place.column}`;
}
