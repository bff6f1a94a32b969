// `headworks create`: an object from options, as glooctl makes it.
import type { KubeObject } from "../lib/kubernetes/object.ts";
import { type Ref, resourceKey } from "../model/ref.ts";
import { type ApiKind, kinds } from "../model/resource.ts";
import { exitCodes } from "./exit.ts";
import { loadPlugins } from "./plugins.ts";
import { openStore } from "./store.ts";
import type { Where } from "./where.ts";
import { printObject, titleOf, type WriteOptions, writeAndJudge } from "./write.ts";

/** An object of the API with this spec. */
export function objectOf(kind: ApiKind, { namespace, name }: Ref, spec: unknown): KubeObject {
  const { group, version } = kinds[kind];
  return { apiVersion: `${group}/${version}`, kind, metadata: { name, namespace }, spec };
}

export async function create(object: KubeObject, where: Where, options: WriteOptions): Promise<number> {
  const kind = object.kind as ApiKind;
  const ref = { namespace: object.metadata.namespace ?? "", name: object.metadata.name };
  if (options.dryRun) {
    await printObject(object, kind, ref, options.output ?? "yaml");
    return exitCodes.ok;
  }
  const plugins = await loadPlugins(options.config);
  using store = await openStore(where, plugins);
  const key = resourceKey(kind, ref);
  const code = await writeAndJudge(store, plugins, key, async () => {
    const place = await store.create(object, options.file);
    return `created ${titleOf(key)} in ${place}`;
  });
  await printObject(object, kind, ref, options.output);
  return code;
}
