// `headworks version`
import { packageVersion } from "../lib/package-root.ts";
import { print } from "./terminal.ts";

export function version({ output }: { readonly output: "text" | "json" }): void {
  const versions = { headworks: packageVersion, node: process.versions.node, envoyApi: "v3 of Envoy 1.40" };
  if (output === "json") print(JSON.stringify({ schemaVersion: 1, ...versions }, undefined, 2));
  else print(`headworks ${versions.headworks}\nnode      ${versions.node}\nenvoy api ${versions.envoyApi}`);
}
