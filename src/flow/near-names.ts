// "There is shop/petstore": what a reference to nothing may have meant. Worked out when findings are shown, and not where they are found:
// there it would make every route depend on all Upstreams.
import { closest } from "../lib/closest.ts";
import type { Problem } from "../model/problem.ts";
import { parseResourceKey, type ResourceKey } from "../model/ref.ts";
import type { Kind } from "../model/resource.ts";

/** Looking for a likely name goes through all names; this many times at most for one showing. */
const mostSearches = 50;
const mostNames = 5_000;

/** For one showing of findings. `keysOf`: the keys of all resources of a kind. */
export function nearNames(keysOf: (kind: Kind) => Iterable<string>): (found: Problem) => Problem {
  const namespacesByKind = new Map<Kind, ReadonlyMap<string, readonly string[]>>();
  const namesakes = (kind: Kind) => {
    const known = namespacesByKind.get(kind) ?? namespacesByName(keysOf(kind));
    namespacesByKind.set(kind, known);
    return known;
  };
  let searches = 0;
  return (found) => {
    const unplaced = /(?:did not find \w+ |\{ )\.([^\s}]+)/.exec(found.message)?.[1];
    if (unplaced !== undefined) return { ...found, hint: `name its namespace, too: {name: ${unplaced}, namespace: …}` };
    const missing = found.hint === undefined ? missingIn(found) : undefined;
    if (missing === undefined) return found;
    const { kind, namespace, name } = missing;
    const known = namesakes(kind);
    const elsewhere = known.get(name) ?? [];
    if (elsewhere.includes(namespace))
      return { ...found, hint: `${kind} ${namespace}/${name} is there, and cannot be used: mend what is said of it` };
    if (elsewhere.length > 0) return { ...found, hint: `there is one in namespace ${elsewhere.slice(0, 3).join(", ")}` };
    if (known.size > mostNames || ++searches > mostSearches) return found;
    const near = closest(
      name,
      [...known].flatMap(([each, namespaces]) => (namespaces.includes(namespace) ? [each] : [])),
    );
    return near === undefined ? found : { ...found, hint: `did you mean ${near}?` };
  };
}

interface Missing {
  readonly kind: Kind;
  readonly namespace: string;
  readonly name: string;
}

function missingIn({ reason, message }: Problem): Missing | undefined {
  if (reason === "UpstreamNotFound") {
    const [, kind, namespace, name] = /^\*v1\.(Upstream|UpstreamGroup) \{ ([^.\s]+)\.(\S+) \} not found$/.exec(message) ?? [];
    if (namespace === undefined || name === undefined) return undefined;
    // The Upstream that is imagined for a port of a Service.
    const isOfService = name.startsWith(`kube-svc:${namespace}-`) && /-\d+$/.test(name);
    return isOfService
      ? { kind: "Service", namespace, name: name.slice(`kube-svc:${namespace}-`.length).replace(/-\d+$/, "") }
      : { kind: kind as Kind, namespace, name };
  }
  if (reason === "DelegateTargetUnknown") {
    const [, namespace, name] = /^route table ([^.\s]+)\.(\S+) missing$/.exec(message) ?? [];
    return namespace === undefined || name === undefined ? undefined : { kind: "RouteTable", namespace, name };
  }
  if (reason !== "KubeServiceNotFound") return undefined;
  const [, name, namespace] = / references the service '(.*)' which does not exist in namespace '(.*)'$/.exec(message) ?? [];
  return namespace === undefined || name === undefined ? undefined : { kind: "Service", namespace, name };
}

function namespacesByName(keys: Iterable<string>): Map<string, string[]> {
  const out = new Map<string, string[]>();
  for (const key of keys) {
    const { namespace, name } = parseResourceKey(key as ResourceKey).ref;
    const namespaces = out.get(name);
    if (namespaces) namespaces.push(namespace);
    else out.set(name, [namespace]);
  }
  return out;
}
