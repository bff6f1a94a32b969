// `headworks get`: resources with their statuses, of a running Headworks or of a folder, in the columns that glooctl has.
import { readFileSync } from "node:fs";
import { envoyKinds, type ProxyView, type ResourceView, schemaVersion } from "../admin/contract.ts";
import { closest } from "../lib/closest.ts";
import { table } from "../lib/table.ts";
import { type ApiKind, kinds } from "../model/resource.ts";
import { CommandError, exitCodes } from "./exit.ts";
import { columnsOf } from "./get-columns.ts";
import { print, say } from "./terminal.ts";

export interface GetOptions {
  readonly output: "table" | "wide" | "json" | "yaml" | "name";
  readonly namespace: string;
  readonly allNamespaces?: boolean;
  readonly folder?: readonly string[];
  readonly server: string;
  readonly tokenFile?: string;
  readonly config?: string;
}

/** Where the answers come from: a running Headworks, or a folder translated here. */
export interface Answers {
  resources(kind: ApiKind): Promise<readonly ResourceView[]>;
  proxies(): Promise<readonly ProxyView[]>;
  /** By kind: what one proxy is served. */
  proxy(key: string): Promise<Record<string, unknown>>;
}

export async function get(kindText: string, name: string | undefined, options: GetOptions): Promise<number> {
  const kind = kindOf(kindText);
  const answers = options.folder ? await answersOfFolder(options.folder, options.config) : answersOfServer(options);
  return kind === "Proxy" ? getProxies(answers, name, options) : getResources(answers, kind, name, options);
}

async function getResources(answers: Answers, kind: ApiKind, name: string | undefined, options: GetOptions): Promise<number> {
  const everywhere = (await answers.resources(kind)).filter((each) => (name ?? each.metadata.name) === each.metadata.name);
  const found = everywhere
    .filter((each) => options.allNamespaces || each.metadata.namespace === options.namespace)
    .sort((a, b) => compare(a.metadata.namespace, b.metadata.namespace) || compare(a.metadata.name, b.metadata.name));
  if (found.length === 0) {
    const where = options.allNamespaces ? "" : ` in namespace ${options.namespace}`;
    const elsewhere = everywhere.length > 0 ? `; there are ${everywhere.length} in other namespaces (-A)` : "";
    const message = `no ${kind}${name ? ` ${name}` : ""}${where}${elsewhere}`;
    if (name !== undefined) throw new CommandError(message, exitCodes.findings);
    say(message);
  }
  await printItems(options.output, dataOf(name, found), found.length, (output) => {
    if (output === "name") return found.map((each) => `${kinds[kind].plural}/${each.metadata.name}\n`).join("");
    const columns = columnsOf(kind, output === "wide");
    const withNamespace = options.allNamespaces
      ? [{ heading: "NAMESPACE", cell: (each: ResourceView) => each.metadata.namespace }, ...columns]
      : columns;
    return table(
      withNamespace.map((column) => column.heading),
      found.map((each) => withNamespace.map((column) => column.cell(each))),
    );
  });
  return exitCodes.ok;
}

async function getProxies(answers: Answers, name: string | undefined, options: GetOptions): Promise<number> {
  const found = (await answers.proxies()).filter((each) => {
    const [namespace, own] = each.key.split("~") as [string, string];
    return (name === undefined || name === own || name === each.key) && (options.allNamespaces || namespace === options.namespace);
  });
  if (found.length === 0) {
    const message = `no Proxy${name ? ` ${name}` : ""}${options.allNamespaces ? "" : ` in namespace ${options.namespace}`}`;
    if (name !== undefined) throw new CommandError(message, exitCodes.findings);
    say(message);
  }
  const isData = options.output === "json" || options.output === "yaml";
  const items = isData ? await Promise.all(found.map(async (each) => ({ ...each, ...(await answers.proxy(each.key)) }))) : found;
  const data = name !== undefined && items.length === 1 ? items[0] : { schemaVersion, items };
  await printItems(options.output, data, items.length, (output) =>
    output === "name"
      ? found.map((each) => `proxies/${each.key}\n`).join("")
      : table(
          ["PROXY", "LISTENERS", "ROUTES", "CLUSTERS", "ENDPOINTS"],
          found.map((each) => [each.key, `${each.listeners}`, `${each.routes}`, `${each.clusters}`, `${each.endpoints}`]),
        ),
  );
  return exitCodes.ok;
}

/**
 * What kubectl would print: an object, or a List of them. It can be saved and read again, so nothing stands in it that is not the
 * object's own; `-o wide` says where it was read.
 */
function dataOf(name: string | undefined, found: readonly ResourceView[]): unknown {
  const items = found.map(({ origin: _, isStale: __, ...object }) => object);
  return name !== undefined && items.length === 1 ? items[0] : { apiVersion: "v1", kind: "List", items };
}

async function printItems(
  output: GetOptions["output"],
  data: unknown,
  count: number,
  text: (output: "table" | "wide" | "name") => string,
): Promise<void> {
  if (output === "json") print(JSON.stringify(data, undefined, 2));
  else if (output === "yaml") {
    const { yamlText } = await import("../lib/yaml-text.ts");
    print(yamlText(data));
  } else if (count > 0) print(text(output));
}

function kindOf(text: string): ApiKind {
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

async function answersOfFolder(folders: readonly string[], config: string | undefined): Promise<Answers> {
  const [{ translateOnce }, { openFolders }, { loadPlugins }, views] = await Promise.all([
    import("../control-plane.ts"),
    import("./folders.ts"),
    import("./plugins.ts"),
    import("../admin/views.ts"),
  ]);
  const plugins = await loadPlugins(config);
  const source = await openFolders(folders, plugins);
  const translation = views.oneView(await translateOnce({ source, plugins }));
  const secrets = views.secretsOf(translation);
  return {
    resources: async (kind) =>
      [...translation.resources.values()]
        .filter((each) => each.kind === kind)
        .map((each) => views.resourceView(each, translation.statuses.get(each.key), secrets)),
    proxies: async () => views.proxyViews(translation),
    proxy: async (key) => {
      const served = [...translation.proxies].find(([each]) => each === key)?.[1] ?? [];
      return Object.fromEntries(
        envoyKinds.map((kind) => [kind, views.envoyResources(served, kind).map((each) => views.redactedEnvoyJson(each, secrets))]),
      );
    },
  };
}

function answersOfServer({ server, tokenFile }: GetOptions): Answers {
  const base = serverUrl(server);
  const token = tokenFile && readToken(tokenFile);
  const ask = async (path: string) => {
    const url = new URL(path, base);
    const answer = await fetch(url, { headers: token ? { authorization: `Bearer ${token}` } : {} }).catch((error: Error) => {
      const cause = (error.cause as Error | undefined)?.message ?? error.message;
      throw new CommandError(
        `no Headworks answers at ${server} (${cause})`,
        exitCodes.unreachable,
        "Start one with `headworks run DIR`, name another with --server, or read a folder with -f DIR.",
      );
    });
    if (!answer.ok) throw new CommandError(`${url} answered ${answer.status}`, exitCodes.unreachable);
    // biome-ignore lint/suspicious/noExplicitAny: our own server's answers, typed by admin/contract.ts
    return (await answer.json()) as any;
  };
  return {
    resources: async (kind) => (await ask(`/api/v1/resources?kind=${kind}`)).items,
    proxies: async () => (await ask("/api/v1/proxies")).proxies,
    proxy: async (key) => {
      const pages = envoyKinds.map(async (kind) => {
        const { resources } = await ask(`/api/v1/proxies/${encodeURIComponent(key)}/${kind}`);
        return [kind, resources.map((each: { resource: unknown }) => each.resource)] as const;
      });
      return Object.fromEntries(await Promise.all(pages));
    },
  };
}

/** `127.0.0.1:9091` is what `run --admin` takes, so it is taken here too. */
function serverUrl(text: string): string {
  const url = /^https?:\/\//.test(text) ? text : `http://${text}`;
  if (URL.canParse(url)) return url;
  throw new CommandError(`--server is the address of an admin API, such as http://127.0.0.1:9091; it is "${text}"`);
}

function readToken(file: string): string {
  try {
    return readFileSync(file, "utf8").trim();
  } catch (error) {
    throw new CommandError(`--token-file names ${file}, which cannot be read: ${(error as Error).message}`);
  }
}

function compare(a: string, b: string): number {
  return a < b ? -1 : a > b ? 1 : 0;
}
