// Which paths Gloo takes for valid: the same rule for matchers, rewrites and redirects, with the same words.

const pattern = "^(?:([A-Za-z0-9/:@._~!$&'()*+,:=;-]*|[%][0-9a-fA-F]{2}))*$";
/** The same language without the nested repetition, which this engine would try in every way. */
const allowed = /^(?:[A-Za-z0-9/:@._~!$&'()*+,=;-]|%[0-9a-fA-F]{2})*$/;
const forbidden = ["//", "/./", "/../", "%2f", "%2F", "#"];
const forbiddenEnds = ["/..", "/."];

/** All that anything can be wrong with has one of these: thousands of paths have none. */
const suspicious = /\/[/.]|[^A-Za-z0-9/:@._~!$&'()*+,=;-]/;

/** What is wrong with a path; undefined when it is fine. */
export function pathFault(path: string): string | undefined {
  const reason = reasonAgainst(path);
  return reason && `${path}: ${reason}`;
}

function reasonAgainst(path: string): string | undefined {
  if (!suspicious.test(path)) return undefined;
  if (!allowed.test(path)) return `must only contain valid characters matching pattern ${pattern}`;
  const inside = forbidden.find((each) => path.includes(each));
  if (inside) return `path [${path}] cannot contain [${inside}]`;
  const end = forbiddenEnds.find((each) => path.endsWith(each));
  if (end) return `path [${path}] cannot end with [${end}]`;
  return undefined;
}

/** Of a rewrite only the path counts, as Go reads it from a URL: without scheme, host, query and fragment, and unescaped. */
export function rewriteFault(rewrite: string): string | undefined {
  const path = pathOfUrl(rewrite);
  const reason = typeof path === "string" ? reasonAgainst(path) : path.fault;
  return reason && `the rewrite is invalid: ${rewrite}: ${reason}`;
}

function pathOfUrl(url: string): string | { readonly fault: string } {
  if (!/[:%?#]|^\/\//.test(url)) return url;
  const [whole = ""] = url.split("#", 1);
  const scheme = /^[A-Za-z][A-Za-z0-9+.-]*:/.exec(whole)?.[0] ?? "";
  if (whole.startsWith(":")) return { fault: `parse "${url}": missing protocol scheme` };
  const [rest = ""] = whole.slice(scheme.length).split("?", 1);
  if (!rest.startsWith("/")) {
    if (scheme !== "") return "";
    if (/^[^/]*:/.test(rest)) return { fault: `parse "${url}": first path segment in URL cannot contain colon` };
  }
  const hasHost = rest.startsWith("//") && (scheme !== "" || !rest.startsWith("///"));
  const path = hasHost ? rest.slice(2).replace(/^[^/]*/, "") : rest;
  const wrong = /%(?![0-9A-Fa-f]{2}).{0,2}/s.exec(path);
  if (wrong) return { fault: `parse "${url}": invalid URL escape "${wrong[0]}"` };
  return path.replace(/(?:%[0-9A-Fa-f]{2})+/g, (escapes) => Buffer.from(escapes.replaceAll("%", ""), "hex").toString());
}
