// `headworks add route` and `remove route`: in a VirtualService or a RouteTable, in its file or in the cluster.
import { existsSync } from "node:fs";
import { type Ref, resourceKey } from "../model/ref.ts";
import type { Resource, Spec } from "../model/resource.ts";
import { objectOf } from "./create.ts";
import { CommandError, exitCodes } from "./exit.ts";
import type { ListChange } from "./list-edit.ts";
import { loadPlugins } from "./plugins.ts";
import { type RouteFlags, routeSpec } from "./route-spec.ts";
import { findIn, openStore, type Store } from "./store.ts";
import type { Where } from "./where.ts";
import { printObject, refOf, titleOf, type WriteOptions, writeAndJudge } from "./write.ts";

export interface RouteTarget extends WriteOptions {
  readonly index: number;
  readonly toRouteTable?: boolean;
  readonly fromRouteTable?: boolean;
}

type Holder = Resource<"VirtualService"> | Resource<"RouteTable">;

export async function addRoute(name: string | undefined, where: Where, options: RouteTarget & RouteFlags): Promise<number> {
  refuseFolder(options);
  const route = routeSpec(options);
  const plugins = await loadPlugins(options.config);
  const isTable = options.toRouteTable === true;
  if (isTable && name === undefined && options.name === undefined) throw new CommandError("--name names the RouteTable");
  if (options.dryRun && where.kind === "unsaid") {
    const { object, ref } = newHolder(isTable, refOf(name ?? options.name ?? "default", options, "add route"), route);
    await printObject(object, object.kind as string, ref, options.output ?? "yaml");
    return exitCodes.ok;
  }
  using store = await openStore(where, plugins);
  const holder = await holderOf(store, name, isTable, options);
  if (holder !== undefined) {
    const change: ListChange = { kind: "insert", at: indexIn(holder, options.index, true), item: route };
    return await changeRoutes(store, holder, change, options);
  }
  const { object, ref } = newHolder(false, { namespace: options.namespace, name: "default" }, route);
  if (!options.dryRun) {
    const key = resourceKey("VirtualService", ref);
    const code = await writeAndJudge(
      store,
      plugins,
      key,
      async () => `created ${titleOf(key)} with the route in ${await store.create(object, options.file)}`,
    );
    await printObject(object, "VirtualService", ref, options.output);
    return code;
  }
  await printObject(object, "VirtualService", ref, options.output ?? "yaml");
  return exitCodes.ok;
}

/** Everywhere else, -f is the folder. In a cluster, a function of that name would be routed to. */
function refuseFolder({ restFunctionName, folder }: RouteTarget & RouteFlags): void {
  if (restFunctionName !== undefined && folder === undefined && existsSync(restFunctionName))
    throw new CommandError(`-f is short for --rest-function-name here, as in glooctl; the folder is --folder ${restFunctionName}`);
}

export async function removeRoute(name: string | undefined, where: Where, options: RouteTarget): Promise<number> {
  const plugins = await loadPlugins(options.config);
  using store = await openStore(where, plugins);
  const holder = await holderOf(store, name, options.fromRouteTable === true, options);
  if (holder === undefined)
    throw new CommandError(
      `there is no VirtualService with the domain * in namespace ${options.namespace} of ${store.name}`,
      exitCodes.findings,
    );
  return await changeRoutes(store, holder, { kind: "remove", at: indexIn(holder, options.index, false) }, options);
}

async function changeRoutes(store: Store, holder: Holder, change: ListChange, options: RouteTarget): Promise<number> {
  const list = holder.kind === "VirtualService" ? ["virtualHost", "routes"] : ["routes"];
  let object: unknown;
  const carryOut = async () => {
    const done = await store.edit(holder, { list, change }, options.dryRun === true);
    object = done.object;
    const verb = change.kind === "insert" ? "added route" : "removed route";
    return `${verb} ${change.at} ${change.kind === "insert" ? "to" : "from"} ${titleOf(holder.key)} in ${done.place}`;
  };
  if (options.dryRun) {
    await carryOut();
    await printObject(object, holder.kind, holder.ref, options.output ?? "yaml");
    return exitCodes.ok;
  }
  const code = await writeAndJudge(store, await loadPlugins(options.config), holder.key, carryOut);
  await printObject(object, holder.kind, holder.ref, options.output);
  return code;
}

/** The one named; else, as glooctl does, the VirtualService for all domains. Undefined where there is none. */
async function holderOf(store: Store, name: string | undefined, isTable: boolean, options: RouteTarget): Promise<Holder | undefined> {
  if (name !== undefined || options.name !== undefined || isTable) {
    const ref = refOf(name, options, isTable ? "the RouteTable" : "the VirtualService");
    return (await findIn(store, isTable ? "RouteTable" : "VirtualService", ref)) as Holder;
  }
  const all = (await store.list("VirtualService", options.namespace)) as readonly Resource<"VirtualService">[];
  const forAll = all.filter((each) => each.ref.namespace === options.namespace && takesAll(each.spec));
  if (forAll.length <= 1) return forAll[0];
  const names = forAll.map(({ ref }) => ref.name).join(", ");
  throw new CommandError(`several VirtualServices take the domain *: ${names}; choose one with --name`);
}

function takesAll(spec: Spec<"VirtualService"> | undefined): boolean {
  const domains = spec?.virtualHost?.domains ?? [];
  return spec !== undefined && (domains.length === 0 || domains.includes("*"));
}

function indexIn(holder: Holder, index: number, isNew: boolean): number {
  if (holder.spec === undefined)
    throw new CommandError(`${titleOf(holder.key)} cannot be read, so its routes are not known; see headworks check`, exitCodes.refused);
  const routes = holder.kind === "VirtualService" ? holder.spec.virtualHost?.routes : holder.spec.routes;
  const count = routes?.length ?? 0;
  if (isNew) return Math.min(index, count);
  if (index < count) return index;
  const range = count === 0 ? "it has none" : `it has ${count}, the last is ${count - 1}`;
  throw new CommandError(`${titleOf(holder.key)} has no route ${index}: ${range}`, exitCodes.findings);
}

function newHolder(isTable: boolean, ref: Ref, route: unknown) {
  return isTable
    ? { ref, object: objectOf("RouteTable", ref, { routes: [route] }) }
    : { ref, object: objectOf("VirtualService", ref, { virtualHost: { domains: ["*"], routes: [route] } }) };
}
