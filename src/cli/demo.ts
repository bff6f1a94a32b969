// `headworks demo`: a petstore with a gateway in front. Nothing is written to disk.
import { join, relative } from "node:path";
import { parseListenAddress } from "../lib/listen-address.ts";
import { packageRoot, packageVersion } from "../lib/package-root.ts";
import { CommandError, exitCodes } from "./exit.ts";
import { type Petstore, startPetstore } from "./petstore.ts";
import { type ServeOptions, type Serving, serve } from "./serve.ts";
import { stopSignal } from "./stop-signal.ts";
import { painter, print, say } from "./terminal.ts";

/** Where examples/petstore looks for it. */
const petstoreAddress = "127.0.0.1:9090";

export async function demo(options: ServeOptions): Promise<number> {
  await using store = await openPetstore(petstoreAddress);
  const folder = relative(process.cwd(), join(packageRoot, "examples/petstore"));
  return await serve(folder, { ...options, log: options.log === "auto" ? "pretty" : options.log }, (serving) =>
    introduce(store, serving, folder),
  );
}

/** Only the backend, for those who `run examples/petstore` themselves. */
export async function petstore({ listen }: { readonly listen: string }): Promise<number> {
  const stop = stopSignal();
  await using store = await openPetstore(listen);
  print(`petstore  ${store.url}/api/pets`);
  return (await stop.first) === "SIGINT" ? exitCodes.interrupted : exitCodes.ok;
}

async function openPetstore(text: string): Promise<Petstore> {
  const address = parseListenAddress(text);
  if (address?.kind !== "tcp") throw new CommandError(`--listen is host:port or a port; it is "${text}"`);
  return startPetstore(address.host, address.port).catch((error: NodeJS.ErrnoException) => {
    const why = error.code === "EADDRINUSE" ? "something else does already" : error.message;
    throw new CommandError(`the petstore cannot listen on ${text}: ${why}`);
  });
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
