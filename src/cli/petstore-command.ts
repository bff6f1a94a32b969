// `headworks petstore`: only the backend of the demo, for those who `run examples/petstore` themselves.
import { parseListenAddress } from "../lib/listen-address.ts";
import { CommandError, exitCodes } from "./exit.ts";
import { type Petstore, startPetstore } from "./petstore.ts";
import { stopSignal } from "./stop-signal.ts";
import { print } from "./terminal.ts";

export async function petstore({ listen }: { readonly listen: string }): Promise<number> {
  const stop = stopSignal();
  await using store = await openPetstore(listen);
  print(`petstore  ${store.url}/api/pets`);
  return (await stop.first) === "SIGINT" ? exitCodes.interrupted : exitCodes.ok;
}

/** Throws what the user can mend: no address, or one that is taken. */
export async function openPetstore(text: string): Promise<Petstore> {
  const address = parseListenAddress(text);
  if (address?.kind !== "tcp") throw new CommandError(`--listen is host:port or a port; it is "${text}"`);
  return startPetstore(address.host, address.port).catch((error: NodeJS.ErrnoException) => {
    const why = error.code === "EADDRINUSE" ? "something else does already" : error.message;
    throw new CommandError(`the petstore cannot listen on ${text}: ${why}`);
  });
}
