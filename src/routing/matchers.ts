// Matchers of delegating and delegated routes: what a parent allows, what a child inherits, which of two goes first.
import { create } from "@bufbuild/protobuf";
import { type Matcher, MatcherSchema } from "../gen/gloo/gloo/projects/gloo/api/v1/core/matchers/matchers_pb.js";
import { goBool, goList } from "./go-text.ts";

/** What a route without matchers matches. */
export const everyPath = (): Matcher => create(MatcherSchema, { pathSpecifier: { case: "prefix", value: "/" } });

/** The one prefix matcher of a delegating route, or what is wrong with it. */
export function delegatingMatcher(matchers: readonly Matcher[]): { readonly matcher: Matcher } | { readonly fault: string } {
  const [matcher, second] = matchers;
  if (second !== undefined) return { fault: "invalid route: routes with delegate actions must omit or specify a single matcher" };
  if (matcher === undefined || matcher.pathSpecifier.case === undefined) return { matcher: everyPath() };
  if (matcher.pathSpecifier.case !== "prefix" || matcher.pathSpecifier.value === "")
    return { fault: "invalid route: routes with delegate actions must use a prefix matcher" };
  return { matcher };
}

/** The matchers of a child route with what it inherits from its parent. */
export function inherited(own: readonly Matcher[], parent: Matcher, all: boolean, paths: boolean): readonly Matcher[] {
  const matchers = own.length === 0 ? [everyPath()] : own;
  if (!all && !paths) return matchers;
  return matchers.map((child) =>
    create(MatcherSchema, {
      pathSpecifier: paths ? parent.pathSpecifier : child.pathSpecifier,
      caseSensitive: paths ? parent.caseSensitive : child.caseSensitive,
      headers: all ? [...parent.headers, ...child.headers] : child.headers,
      queryParameters: all ? [...parent.queryParameters, ...child.queryParameters] : child.queryParameters,
      methods: all ? [...parent.methods, ...child.methods] : child.methods,
    }),
  );
}

/** Why a child does not lie within its parent, in Gloo's words (which call the child's caseSensitive the required one; ours do not). */
export function outsideParent(child: Matcher, parent: Matcher): string | undefined {
  const prefix = String(parent.pathSpecifier.value ?? "");
  const path = pathOf(child);
  if (!path.startsWith(prefix))
    return `required prefix: ${prefix}, prefix: ${path}: invalid route: route table matchers must begin with the prefix of their parent route's matcher`;
  if (child.caseSensitive !== parent.caseSensitive)
    return `required caseSensitive: ${goBool(parent.caseSensitive)}, caseSensitive: ${goBool(child.caseSensitive)}: invalid route: route table matchers must have the same case sensitivity that was specified on their parent route's matcher`;
  const headers = lastByName(child.headers);
  const lacksHeader = parent.headers.some((want) => {
    const has = headers.get(want.name);
    return has?.value !== want.value || has.regex !== want.regex || has.invertMatch !== want.invertMatch;
  });
  if (lacksHeader)
    return `required headers: ${goList(parent.headers)}, headers: ${goList(child.headers)}: invalid route: route table matchers must have all headers that were specified on their parent route's matcher`;
  const parameters = lastByName(child.queryParameters);
  const lacksParameter = parent.queryParameters.some((want) => {
    const has = parameters.get(want.name);
    return has?.value !== want.value || has.regex !== want.regex;
  });
  if (lacksParameter)
    return `required query params: ${goList(parent.queryParameters)}, query params: ${goList(child.queryParameters)}: invalid route: route table matchers must have all query params that were specified on their parent route's matcher`;
  if (!parent.methods.every((method) => child.methods.includes(method)))
    return `required methods: [${parent.methods.join(" ")}], methods: [${child.methods.join(" ")}]: invalid route: route table matchers must have all methods that were specified on their parent route's matcher`;
  return undefined;
}

/** Of several under one name the last counts: a child that inherits `x: 1` and asks for `x: 2` beside it could match nothing. */
function lastByName<T extends { readonly name: string }>(matchers: readonly T[]): ReadonlyMap<string, T> {
  return new Map(matchers.map((each) => [each.name, each]));
}

function pathOf({ pathSpecifier }: Matcher): string {
  return typeof pathSpecifier.value === "string" ? pathSpecifier.value : "";
}

/** The order of routes of several tables: more methods, then exact, regex, prefix, then the greater path. */
export function compareSpecificity(a: readonly Matcher[], b: readonly Matcher[]): number {
  return compareMatchers(mostSpecific(a), mostSpecific(b));
}

function mostSpecific(matchers: readonly Matcher[]): Matcher {
  return matchers.reduce((best, each) => (compareMatchers(each, best) < 0 ? each : best), matchers[0] ?? everyPath());
}

/** What is none of these goes first: CONNECT, and a matcher without a path, which is an error. */
const pathKinds = ["exact", "regex", "prefix"];

function compareMatchers(a: Matcher, b: Matcher): number {
  const byMethods = b.methods.length - a.methods.length;
  if (byMethods !== 0) return byMethods;
  const byKind = pathKinds.indexOf(a.pathSpecifier.case ?? "") - pathKinds.indexOf(b.pathSpecifier.case ?? "");
  if (byKind !== 0) return byKind;
  const [x, y] = [pathOf(a), pathOf(b)];
  return x > y ? -1 : x < y ? 1 : 0;
}
