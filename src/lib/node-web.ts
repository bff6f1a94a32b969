// Node's HTTP and HTTPS for what is loaded at every start and may never dial anybody: they are loaded when somebody does, because TLS, HTTP and
// workers come along, which take 15 ms.
import type * as Http from "node:http";
import type * as Https from "node:https";

export function http(): typeof Http {
  return process.getBuiltinModule("node:http");
}

export function https(): typeof Https {
  return process.getBuiltinModule("node:https");
}
