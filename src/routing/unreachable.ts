// Routes that no request reaches, as earlier ones of the same virtual host take all of theirs. What cannot be told for certain (two
// regular expressions) is not told: a warning that is wrong once is not read again.
import type { HeaderMatcher, Matcher, QueryParameterMatcher } from "../gen/gloo/gloo/projects/gloo/api/v1/core/matchers/matchers_pb.js";
import { type Problem, problem } from "../model/problem.ts";
import { formatRef, parseResourceKey, type ResourceKey } from "../model/ref.ts";
import type { ModelRoute, ModelVirtualHost } from "../model/virtual-host.ts";

interface Hidden {
  readonly model: ModelRoute;
  readonly by: ModelRoute;
}

/**
 * One finding for each cause and resource: a `/` that stands in front of fifty routes is one mistake, not fifty. Said of the resource
 * that has the routes; a RouteTable may be reached another way from another VirtualService.
 */
export function unreachableRoutes({ resource: virtualService, routes }: Pick<ModelVirtualHost, "resource" | "routes">): readonly Problem[] {
  const earlier = new Earlier();
  /** By place, as a RouteTable may be delegated to twice: the routes in front of it, or undefined where a request gets through. */
  const covered = new Map<string, { readonly model: ModelRoute; readonly by: ModelRoute | undefined }>();
  for (const model of routes) {
    const key = placeKey(model);
    const before = covered.get(key);
    const by = before !== undefined && before.by === undefined ? undefined : coveredBy(model, earlier);
    covered.set(key, { model, by });
    for (const matcher of model.route.matchers) earlier.add(matcher, model);
  }
  const groups = new Map<string, [Hidden, ...Hidden[]]>();
  for (const { model, by } of covered.values()) {
    if (by === undefined) continue;
    const key = `${placeKey(by)} ${model.at.resource}`;
    const group = groups.get(key);
    if (group) group.push({ model, by });
    else groups.set(key, [{ model, by }]);
  }
  return [...groups.values()].map((group) => finding(virtualService, group));
}

const placeKey = ({ at }: ModelRoute) => `${at.resource} ${at.path}`;

/** The first of the routes that take what this one is for; undefined where something is left for it. */
function coveredBy({ route, at }: ModelRoute, earlier: Earlier): ModelRoute | undefined {
  const by = route.matchers.map((matcher) => earlier.covering(matcher, at));
  return by.every((each) => each !== undefined) ? by[0] : undefined;
}

function finding(virtualService: ResourceKey, hidden: readonly [Hidden, ...Hidden[]]): Problem {
  const [{ model, by }] = hidden;
  const [{ resource, path }, first] = [model.at, by.at];
  if (hidden.length > 1 && first.resource === resource) {
    const message = `no request gets to ${hidden.length} routes behind this one, as it takes them all`;
    return problem("warning", resource, "RouteUnreachable", message, {
      path: first.path,
      hint: "put it behind them, or narrow it",
      others: hidden.map((each) => fieldPlace(each.model)),
    });
  }
  const { kind, ref } = parseResourceKey(first.resource);
  const where = first.resource === resource ? first.path : `${first.path} of ${kind} ${formatRef(ref)}`;
  // What a table hides of itself, it hides from everybody who delegates to it.
  const isEverybodys = first.resource === resource || resource === virtualService;
  const whose = isEverybodys ? "request" : `request of VirtualService ${formatRef(parseResourceKey(virtualService).ref)}`;
  const message =
    hidden.length > 1
      ? `no ${whose} gets to ${hidden.length} of these routes, as ${where} comes first and takes them all`
      : `no ${whose} gets here: ${where} comes first and takes them all`;
  const others = hidden.length > 1 ? hidden.map((each) => fieldPlace(each.model)) : [fieldPlace(by)];
  return problem("warning", resource, "RouteUnreachable", message, { path, others });
}

function fieldPlace({ at: { resource, path } }: ModelRoute) {
  return { resource, path };
}

interface Entry {
  readonly matcher: Matcher;
  readonly model: ModelRoute;
}

/** The matchers so far, found by the paths that they could take: each is asked about a few, not about all. */
class Earlier {
  readonly #prefixes = new Map<string, Entry[]>();
  readonly #lengths = new Set<number>();
  readonly #exact = new Map<string, Entry[]>();
  readonly #others = new Map<string, Entry[]>();

  add(matcher: Matcher, model: ModelRoute): void {
    const { pathSpecifier: path } = matcher;
    const entry = { matcher, model };
    if (path.case === "prefix") {
      this.#lengths.add(path.value.length);
      put(this.#prefixes, path.value.toLowerCase(), entry);
    } else if (path.case === "exact") put(this.#exact, path.value.toLowerCase(), entry);
    else put(this.#others, otherKey(matcher), entry);
  }

  /** An earlier route with a matcher that takes all that this one does. */
  covering(matcher: Matcher, at: ModelRoute["at"]): ModelRoute | undefined {
    const isOther = ({ model }: Entry) => model.at.path !== at.path || model.at.resource !== at.resource;
    for (const entry of this.#candidates(matcher))
      if (isOther(entry) && takesPath(entry.matcher, matcher) && takesRest(entry.matcher, matcher)) return entry.model;
    return undefined;
  }

  *#candidates(matcher: Matcher): Generator<Entry> {
    const { pathSpecifier: path } = matcher;
    switch (path.case) {
      case "prefix":
      case "exact": {
        const lower = path.value.toLowerCase();
        for (const length of this.#lengths) if (length <= lower.length) yield* this.#prefixes.get(lower.slice(0, length)) ?? [];
        if (path.case === "exact") yield* this.#exact.get(lower) ?? [];
        return;
      }
      case "regex":
        // Whatever an expression takes that begins so is below the prefix of everything.
        if (/^\^?\/[^|]*$/.test(path.value)) yield* this.#prefixes.get("/") ?? [];
    }
    yield* this.#others.get(otherKey(matcher)) ?? [];
  }
}

function otherKey({ pathSpecifier: path }: Matcher): string {
  return path.case === "regex" ? `regex ${path.value}` : String(path.case);
}

/** Asked only about candidates, whose paths agree but for the case of letters. */
function takesPath(earlier: Matcher, later: Matcher): boolean {
  const isSensitive = earlier.caseSensitive !== false;
  if (!isSensitive) return true;
  const [a, b] = [earlier.pathSpecifier, later.pathSpecifier];
  if ((a.case !== "prefix" && a.case !== "exact") || (b.case !== "prefix" && b.case !== "exact")) {
    return later.caseSensitive !== false || a.value === "/";
  }
  // One that takes letters in both cases takes more than one that does not.
  if (later.caseSensitive === false && a.value.toLowerCase() !== a.value.toUpperCase()) return false;
  return b.value.startsWith(a.value);
}

/** What the earlier one asks for besides the path, the later one asks for too. */
function takesRest(earlier: Matcher, later: Matcher): boolean {
  return (
    takesMethods(earlier.methods, later.methods) &&
    earlier.headers.every((header) =>
      later.headers.some((other) => header.name.toLowerCase() === other.name.toLowerCase() && asksMore(header, other)),
    ) &&
    earlier.queryParameters.every((parameter) =>
      later.queryParameters.some((other) => parameter.name === other.name && asksMore(parameter, other)),
    )
  );
}

function takesMethods(earlier: readonly string[], later: readonly string[]): boolean {
  return earlier.length === 0 || (later.length > 0 && later.every((method) => earlier.includes(method)));
}

/** Whatever the other matches, this one matches. Without a value it asks only for presence. */
function asksMore(one: HeaderMatcher | QueryParameterMatcher, other: HeaderMatcher | QueryParameterMatcher): boolean {
  const [inverted, otherInverted] = [one, other].map((each) => "invertMatch" in each && each.invertMatch);
  if (one.value === "" && !inverted && !otherInverted && !(other.regex && other.value === "")) return true;
  return one.value === other.value && one.regex === other.regex && inverted === otherInverted;
}

function put(map: Map<string, Entry[]>, key: string, entry: Entry): void {
  const list = map.get(key);
  if (list) list.push(entry);
  else map.set(key, [entry]);
}
