// Values of matchers and domains that Envoy takes, and that no request has: a method in lower case, a path without its slash. What a
// client could send after all is not told: a warning that is wrong once is not read again.
import type { HeaderMatcher, Matcher } from "../gen/gloo/gloo/projects/gloo/api/v1/core/matchers/matchers_pb.js";
import { closest, editDistance } from "../lib/closest.ts";
import { type Problem, problem } from "../model/problem.ts";
import type { ModelVirtualHost } from "../model/virtual-host.ts";

interface Found {
  /** Below the matcher. */
  readonly field: string;
  readonly message: string;
  readonly hint: string;
}

/** Said of whoever has the text, and of no status: the routes are served as they are written. */
export function neverMatching({ resource, host, routes }: Pick<ModelVirtualHost, "resource" | "host" | "routes">): readonly Problem[] {
  const problems = host.domains.flatMap((domain, i) => {
    const fault = domainFault(domain);
    return fault === undefined
      ? []
      : [
          problem("warning", resource, "MatchesNothing", `the domain ${JSON.stringify(domain)} matches nothing: ${fault.message}`, {
            path: `virtualHost.domains[${i}]`,
            hint: fault.hint,
          }),
        ];
  });
  const seen = new Set<string>();
  for (const { route, at } of routes) {
    for (const [j, matcher] of route.matchers.entries()) {
      for (const { field, message, hint } of faultsOf(matcher)) {
        // Of a RouteTable that is delegated to twice, and of routes that inherit from one.
        const path = `${at.path}.matchers[${j}].${field}`;
        const key = `${at.resource} ${path} ${message}`;
        if (!seen.has(key)) problems.push(problem("warning", at.resource, "MatchesNothing", message, { path, hint }));
        seen.add(key);
      }
    }
  }
  return problems;
}

function faultsOf(matcher: Matcher): Found[] {
  const path = pathFault(matcher);
  return [
    ...(path ? [path] : []),
    ...matcher.methods.flatMap((method) => methodFault(method) ?? []),
    ...matcher.headers.flatMap((header, i) => headerFault(header, `headers[${i}]`) ?? []),
    ...matcher.queryParameters.flatMap(({ name }, i) => queryFault(name, `queryParameters[${i}].name`) ?? []),
  ];
}

/** `*` is the path of OPTIONS about the server itself. */
function pathFault({ pathSpecifier: { case: kind, value } }: Matcher): Found | undefined {
  if (kind === "prefix" || kind === "exact") {
    if (value === "" || value.startsWith("/") || value === "*") return undefined;
    const cure = /^\w+:\/\//.test(value) ? "write the path alone; hosts are domains of the VirtualService" : `write /${value}`;
    return { field: kind, message: `the ${kind} ${JSON.stringify(value)} matches nothing: paths begin with /`, hint: cure };
  }
  // Only what is letters up to a slash: anything else may yet begin with one.
  if (kind !== "regex" || value.includes("|") || !/^\^?[\w-]+\//.test(value)) return undefined;
  const message = `the expression ${JSON.stringify(value)} matches nothing: it is held against the whole path, which begins with /`;
  return { field: "regex", message, hint: `write /${value.replace(/^\^/, "")}` };
}

const methods = ["GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS", "CONNECT", "TRACE"];
/** Registered besides (RFC 4918 and others), so that none of them is taken for a slip of the pen. */
const rare =
  /^(ACL|BIND|CHECKIN|CHECKOUT|COPY|LINK|LOCK|MERGE|MKCOL|MOVE|NOTIFY|PRI|PROPFIND|PROPPATCH|PURGE|QUERY|REPORT|SEARCH|UNLINK|UNLOCK)$/;

/** Gloo makes one expression of all methods, so `GET|POST` is fine. */
function methodFault(method: string): Found | undefined {
  if (!/^\s*[A-Za-z]+\s*$/.test(method) || methods.includes(method) || rare.test(method)) return undefined;
  const upper = method.trim().toUpperCase();
  const name = JSON.stringify(method);
  if (methods.includes(upper)) {
    return {
      field: "methods",
      message: `the method ${name} matches nothing: methods are matched as they are written`,
      hint: `write ${upper}`,
    };
  }
  const near = closest(upper, methods);
  if (near === undefined || editDistance(upper, near) > 2) return undefined;
  return { field: "methods", message: `clients know no method ${name}`, hint: `did you mean ${near}?` };
}

const headerName = /^:?[!#$%&'*+.^_`|~0-9A-Za-z-]+$/;
const pseudoHeaders = [":method", ":path", ":authority", ":scheme", ":protocol"];

function headerFault({ name, value, regex, invertMatch }: HeaderMatcher, field: string): Found | undefined {
  if (name === "" || invertMatch) return undefined;
  const isName = headerName.test(name) && (!name.startsWith(":") || pseudoHeaders.includes(name.toLowerCase()));
  if (!isName) {
    const bare = name.replaceAll(/^[:\s]+|[:\s]+$/g, "");
    const hint = headerName.test(bare) ? `write ${bare}` : "write the name of one header; its value has a field of its own";
    return { field: `${field}.name`, message: `no request has a header ${JSON.stringify(name)}`, hint };
  }
  if (regex || value.trim() === value) return undefined;
  const message = `the value ${JSON.stringify(value)} matches nothing: values of headers have no spaces around them`;
  return { field: `${field}.value`, message, hint: `write ${JSON.stringify(value.trim())}` };
}

function queryFault(name: string, field: string): Found | undefined {
  if (!/[?&=#]/.test(name)) return undefined;
  const message = `no request has a query parameter named ${JSON.stringify(name)}`;
  return { field, message, hint: "write the name alone; the value has a field of its own" };
}

/** Beside what is told of domains in statuses already: stars, slashes and spaces. */
function domainFault(domain: string): { readonly message: string; readonly hint: string } | undefined {
  if (/[\s/]/.test(domain)) return undefined;
  if (/[^\x20-\x7e]/.test(domain)) {
    return /[\u2018-\u201f]/.test(domain)
      ? { message: "it has typographic quotes, which are no quotes to YAML", hint: 'write "' }
      : { message: "clients send names of other letters in ASCII", hint: "write the form that begins with xn--" };
  }
  if (domain.includes(",")) return { message: "a host name has no comma", hint: "write each as an item of its own: [a.test, b.test]" };
  const odd = /[?#@"'<>(){}|\\^`;&=+!$%~]/.exec(domain);
  return odd ? { message: `a host name has no ${odd[0]}`, hint: "write the host name alone" } : undefined;
}
