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
  if (!suspicious.test(path)) return undefined;
  if (!allowed.test(path)) return `${path}: must only contain valid characters matching pattern ${pattern}`;
  const inside = forbidden.find((each) => path.includes(each));
  if (inside) return `${path}: path [${path}] cannot contain [${inside}]`;
  const end = forbiddenEnds.find((each) => path.endsWith(each));
  if (end) return `${path}: path [${path}] cannot end with [${end}]`;
  return undefined;
}

/** Of a rewrite only the path counts: a query may follow. */
export function rewriteFault(rewrite: string): string | undefined {
  const fault = pathFault(rewrite.replace(/[?#].*$/s, ""));
  return fault && `the rewrite is invalid: ${fault}`;
}
