// A request from the command line, as curl would send it.
import type { AskedRequest } from "../flow/explain/explain.ts";
import { CommandError } from "./exit.ts";

/** The path stays as it is typed: what its dots, slashes and escapes become is for the gateway to say. */
export function askedRequest(method: string, url: string, headers: readonly string[]): AskedRequest {
  if (!/^[A-Za-z-]+$/.test(method))
    throw new CommandError(
      `"${method}" is no method`,
      undefined,
      "First the method, then the URL: headworks explain GET http://shop.local:8080/ ./config",
    );
  const [, scheme = "", authority = "", rest = ""] = /^(?:(https?):\/\/)?([^/?#]*)([^#]*)/i.exec(url) ?? [];
  if (/^[a-z][a-z\d+.-]*:\/\//i.test(url) && scheme === "") throw new CommandError(`only http and https have routes: ${url}`);
  const host = authority.slice(authority.lastIndexOf("@") + 1) || "localhost";
  const [, name = "", port] = /^(\[[^\]]*\]|[^:]*)(?::(\d*))?$/.exec(host) ?? [];
  if (name === "" || Number(port) > 65_535) throw new CommandError(`"${host}" is no host: ${url}`);
  const path = rest.startsWith("/") ? rest : `/${rest}`;
  if (/[\s\u0080-\uffff]/.test(path))
    throw new CommandError(`a path has neither spaces nor letters beyond ASCII on the wire; escape them: ${encodeURI(path)}`);
  const isTls = scheme.toLowerCase() === "https";
  const isUsual = port === (isTls ? "443" : "80");
  return {
    method: method.toUpperCase(),
    scheme: isTls ? "https" : "http",
    // Clients do not say the usual port.
    host: isUsual ? name : host,
    port: port ? Number(port) : undefined,
    path,
    headers: headers.map(headerOf),
  };
}

function headerOf(text: string): readonly [string, string] {
  const colon = text.indexOf(":");
  const name = text.slice(0, Math.max(0, colon)).trim();
  if (!/^[\w!#$%&'*+.^`|~-]+$/.test(name)) throw new CommandError(`a header is \`name: value\`, and this is not: ${text}`);
  const value = text.slice(colon + 1).trim();
  // biome-ignore lint/suspicious/noControlCharactersInRegex: that is what is looked for
  if (/[\x00-\x08\x0a-\x1f\x7f]/.test(value)) throw new CommandError(`the value of header ${name} has a control character`);
  return [name, value];
}
