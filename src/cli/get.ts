// `headworks get`: resources with their statuses, of a running Headworks, of a folder or of a cluster, in the columns that glooctl has.
import { type ResourceView, schemaVersion } from "../admin/contract.ts";
import { closest } from "../lib/closest.ts";
import { table } from "../lib/table.ts";
import { type ApiKind, kinds } from "../model/resource.ts";
import { CommandError, exitCodes } from "./exit.ts";
import { type Answers, answersOfServer, answersOnce } from "./get-answers.ts";
import { columnsOf } from "./get-columns.ts";
import { routesOf, routesTable } from "./get-routes.ts";
import { kindOf } from "./kind-names.ts";
import { labelFilter } from "./label-filter.ts";
import { print, say } from "./terminal.ts";
import type { Where } from "./where.ts";

export interface GetOptions {
  readonly output: "table" | "wide" | "json" | "yaml" | "name" | "kube-yaml";
  readonly namespace: string;
  readonly allNamespaces?: boolean;
  readonly selector?: string;
  readonly name?: string;
  readonly server: string;
  readonly tokenFile?: string;
  readonly config?: string;
}

/** What was typed: `us`, `us petstore`, `vs route petstore`. */
export interface Asked {
  readonly kind: string;
  readonly name: string | undefined;
  readonly of: string | undefined;
}

export async function get(asked: Asked, where: Where, options: GetOptions): Promise<number> {
  const kind = kindOf(asked.kind);
  const name = asked.name ?? options.name;
  const isRoutes = asked.of !== undefined || (/^routes?$/.test(asked.name ?? "") && options.name !== undefined);
  if (isRoutes && (!/^routes?$/.test(asked.name ?? "") || (kind !== "VirtualService" && kind !== "RouteTable")))
    throw new CommandError(
      `one name at a time; "${asked.of}" is one too many`,
      exitCodes.usage,
      "Routes: headworks get vs route NAME, or headworks get rt route NAME.",
    );
  using answers = await answersOf(where, options);
  if (kind === "Proxy") return await getProxies(answers, name, options);
  return isRoutes
    ? await getRoutes(answers, kind, (asked.of ?? options.name) as string, options)
    : await getResources(answers, kind, name, options);
}

async function answersOf(where: Where, options: GetOptions): Promise<Answers & Disposable> {
  const { config, namespace, allNamespaces } = options;
  if (where.kind === "cluster") {
    const { answersOfCluster } = await import("./get-cluster.ts");
    return await answersOfCluster(where.flags, allNamespaces ? undefined : namespace, config);
  }
  const answers = where.kind === "folders" ? await answersOnce(where, config) : answersOfServer(options);
  return { ...answers, [Symbol.dispose]: () => undefined };
}

async function getResources(answers: Answers, kind: ApiKind, name: string | undefined, options: GetOptions): Promise<number> {
  if (options.output === "kube-yaml" && kind === "Secret")
    throw new CommandError("kube-yaml is for what can be applied again, and Secrets are never shown whole; -o yaml shows their shape");
  const found = await find(answers, kind, name, options);
  if (options.output === "kube-yaml") {
    print(await kubeYaml(found));
    return exitCodes.ok;
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

async function getRoutes(answers: Answers, kind: ApiKind, name: string, options: GetOptions): Promise<number> {
  const [holder] = await find(answers, kind, name, options);
  const routes = holder ? routesOf(holder) : [];
  if (options.output === "name") throw new CommandError("routes need no names, so -o name has nothing to print");
  if (routes.length === 0) say(`${kind} ${name} has no routes`);
  const output = options.output === "kube-yaml" ? "yaml" : options.output;
  await printItems(output, { schemaVersion, items: routes }, routes.length, () => routesTable(routes));
  return exitCodes.ok;
}

/** What was asked for, by namespace and name. Throws where a name is not there; says so where a list is empty. */
async function find(answers: Answers, kind: ApiKind, name: string | undefined, options: GetOptions): Promise<readonly ResourceView[]> {
  const matches = options.selector === undefined ? () => true : labelFilter(options.selector);
  const all = (await answers.resources(kind, options.output === "kube-yaml")).filter(({ metadata }) => matches(metadata.labels ?? {}));
  const everywhere = all.filter((each) => (name ?? each.metadata.name) === each.metadata.name);
  const found = everywhere
    .filter((each) => options.allNamespaces || each.metadata.namespace === options.namespace)
    .sort((a, b) => compare(a.metadata.namespace, b.metadata.namespace) || compare(a.metadata.name, b.metadata.name));
  if (found.length > 0) return found;
  const where = options.allNamespaces ? "" : ` in namespace ${options.namespace}`;
  const elsewhere = everywhere.length > 0 ? `; there are ${everywhere.length} in other namespaces (-A)` : "";
  const near = name === undefined || everywhere.length > 0 ? undefined : nearName(name, all, options);
  const message = `no ${kind}${name ? ` ${name}` : ""}${where}${options.selector ? ` with ${options.selector}` : ""}${elsewhere}${near ?? ""}`;
  if (name !== undefined) throw new CommandError(message, exitCodes.findings);
  say(message);
  return found;
}

function nearName(name: string, all: readonly ResourceView[], { namespace, allNamespaces }: GetOptions): string | undefined {
  const names = all.filter(({ metadata }) => allNamespaces || metadata.namespace === namespace).map(({ metadata }) => metadata.name);
  const near = closest(name, names);
  return near && `; did you mean ${near}?`;
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
  const output = options.output === "kube-yaml" ? "yaml" : options.output;
  const isData = output === "json" || output === "yaml";
  const items = isData ? await Promise.all(found.map(async (each) => ({ ...each, ...(await answers.proxy(each.key)) }))) : found;
  const data = name !== undefined && items.length === 1 ? items[0] : { schemaVersion, items };
  await printItems(output, data, items.length, (asText) =>
    asText === "name"
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

/** As kubectl takes them: objects without status, one document each. */
async function kubeYaml(found: readonly ResourceView[]): Promise<string> {
  const { yamlText } = await import("../lib/yaml-text.ts");
  const texts = found.map(({ apiVersion, kind, metadata, spec }) => {
    const { name, namespace, labels, annotations } = metadata;
    const own = { name, namespace, ...(labels && { labels }), ...(annotations && { annotations }) };
    return yamlText({ apiVersion, kind, metadata: own, spec: spec ?? {} });
  });
  const text = texts.join("---\n");
  if (text.includes("[redacted]")) say("some values are [redacted] here; put them in again before you apply this");
  return text;
}

async function printItems(
  output: Exclude<GetOptions["output"], "kube-yaml">,
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

function compare(a: string, b: string): number {
  return a < b ? -1 : a > b ? 1 : 0;
}
