// `headworks delete KIND NAME`
import { resourceKey } from "../model/ref.ts";
import { CommandError, exitCodes } from "./exit.ts";
import { kindOf } from "./kind-names.ts";
import { loadPlugins } from "./plugins.ts";
import { findIn, openStore } from "./store.ts";
import { say } from "./terminal.ts";
import type { Where } from "./where.ts";
import { refOf, titleOf, type WriteOptions, writeAndJudge } from "./write.ts";

export async function remove(kindText: string, name: string | undefined, where: Where, options: WriteOptions): Promise<number> {
  const kind = kindOf(kindText);
  if (kind === "Proxy") throw new CommandError("Proxies are computed, and stored nowhere; there is nothing to delete", exitCodes.refused);
  const ref = refOf(name, options, `delete ${kindText}`);
  const plugins = await loadPlugins(options.config);
  using store = await openStore(where, plugins);
  const found = await findIn(store, kind, ref);
  const key = resourceKey(kind, ref);
  if (options.dryRun) {
    say(`would delete ${titleOf(key)} from ${found.origin.file ?? store.name}`);
    return exitCodes.ok;
  }
  return await writeAndJudge(store, plugins, key, async () => `deleted ${titleOf(key)} from ${await store.delete(found)}`);
}
