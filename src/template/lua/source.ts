// The script that Envoy's Lua filter runs: the same for every route. What it executes is data, see ../program.ts. It is made smaller when code is
// generated (npm run generate), and not at every start: runtime.ts.
import { envoy } from "./envoy.ts";
import { functions } from "./functions.ts";
import { json } from "./json.ts";
import { message } from "./message.ts";
import { regex } from "./regex.ts";
import { render } from "./render.ts";
import { smaller } from "./smaller.ts";
import { values } from "./values.ts";

/** Everything that does not know of Envoy. */
export const luaTemplates = [values, json, functions, regex, render, message].join("\n");

export function luaScript(): string {
  return smaller(`${luaTemplates}\n${envoy}`);
}
