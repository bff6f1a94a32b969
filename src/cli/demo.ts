// `headworks demo`: a petstore with a gateway in front. Nothing is written to disk.
import { join, relative } from "node:path";
import { packageRoot, packageVersion } from "../lib/package-root.ts";
import type { Petstore } from "./petstore.ts";
import { openPetstore } from "./petstore-command.ts";
import { folderInput, type ServeOptions, type Serving, serve } from "./serve.ts";
import { painter, say } from "./terminal.ts";

/** Where examples/petstore looks for it. */
const petstoreAddress = "127.0.0.1:9090";

export async function demo(options: ServeOptions): Promise<number> {
  await using store = await openPetstore(petstoreAddress);
  const folder = relative(process.cwd(), join(packageRoot, "examples/petstore"));
  return await serve(folderInput(folder), { ...options, log: options.log === "auto" ? "pretty" : options.log }, (serving) =>
    introduce(store, serving, folder),
  );
}

function introduce(store: Petstore, { gateways, proxy, admin }: Serving, folder: string): void {
  const paint = painter(process.stderr);
  const row = (what: string, url: string, note: string) =>
    say(`  ${paint("green", "✔")} ${what.padEnd(20)}${url.padEnd(24)}${paint("dim", note)}`);
  const [gateway = ""] = gateways;
  say(`  ${paint("bold", `headworks ${packageVersion}`)}  ·  demo (nothing is written to disk)`);
  row("petstore upstream", store.url, "built in, OpenAPI");
  row("gateway", gateway, proxy);
  if (admin) row("admin", admin, "loopback only");
  say(`  try   curl ${gateway.replace("http://127.0.0.1", "localhost")}/api/pets`);
  say(`        edit ${folder}/routes.yaml, ask again; Ctrl-C ends`);
}
