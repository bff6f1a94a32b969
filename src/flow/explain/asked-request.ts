// A method, a URL and headers as a request, as curl would send it.
import type { AskedRequest } from "./explain.ts";

/** What was asked is no request: for whoever asked, in words. */
export class NoRequest extends Error {
  readonly hint: string | undefined;

  constructor(message: string, hint?: string) {
    super(message);
    this.hint = hint;
  }
}

/** The path stays as it is typed: what its dots, slashes and escapes become is for the gateway to say. */
export function askedRequest(method: string, url: string, headers: readonly string[]): AskedRequest {
  if (!/^[A-Za-z-]+$/.test(method))
    throw new NoRequest(
      `"${method}" is no method`,
      "First the method, then the URL: headworks explain GET http://shop.local:8080/ ./config",
    );
  const [, scheme = "", authority = "", rest = ""] = /^(?:(https?):\/\/)?([^/?#]*)([^#]*)/i.exec(url) ?? [];
  if (/^[a-z][a-z\d+.-]*:\/\//i.test(url) && scheme === "") throw new NoRequest(`only http and https have routes: ${url}`);
  const host = authority.slice(authority.lastIndexOf("@") + 1) || "localhost";
  const [, name = "", port] = /^(\[[^\]]*\]|[^:]*)(?::(\d*))?$/.exec(host) ?? [];
  if (name === "" || Number(port) > 65_535) throw new NoRequest(`"${host}" is no host: ${url}`);
  const path = rest.startsWith("/") ? rest : `/${rest}`;
  if (/[\s\u0080-\uffff]/.test(path))
    throw new NoRequest(`a path has neither spaces nor letters beyond ASCII on the wire; escape them: ${encodeURI(path)}`);
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
  if (!/^[\w!#$%&'*+.^`|~-]+$/.test(name)) throw new NoRequest(`a header is \`name: value\`, and this is not: ${text}`);
  const value = text.slice(colon + 1).trim();
  // biome-ignore lint/suspicious/noControlCharactersInRegex: that is what is looked for
  if (/[\x00-\x08\x0a-\x1f\x7f]/.test(value)) throw new NoRequest(`the value of header ${name} has a control character`);
  return [name, value];
}
