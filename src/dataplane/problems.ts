// What the embedded data plane has to say about the resources that it serves, as Problems on those who own them.

import { type EnvoyResource, kindOf, resourceKeyOf } from "../model/envoy-resource.ts";
import { type Problem, problem } from "../model/problem.ts";
import { parseResourceKey, type ResourceKey } from "../model/ref.ts";
import type { Finding } from "./compile/findings.ts";

/** Problems by what they are about; what is said again replaces what was said before. */
export class ProblemBook {
  readonly #byKey = new Map<string, readonly Problem[]>();

  get count(): number {
    let count = 0;
    for (const problems of this.#byKey.values()) count += problems.length;
    return count;
  }

  all(): readonly Problem[] {
    return [...this.#byKey.values()].flat();
  }

  has(key: string): boolean {
    return this.#byKey.has(key);
  }

  set(key: string, problems: readonly Problem[]): void {
    this.#byKey.set(key, problems);
  }

  /** Whether there was something. */
  delete(key: string): boolean {
    return this.#byKey.delete(key);
  }

  clear(): void {
    this.#byKey.clear();
  }

  /** Of a resource, all that compiling it found; nothing: it is well again. */
  note(resource: EnvoyResource, findings: readonly Finding[]): void {
    const key = resourceKeyOf(resource);
    if (findings.length === 0) this.#byKey.delete(key);
    else this.#byKey.set(key, problemsOf(resource, findings));
  }
}

/** The address of a listener and its logs are the Gateway's, whoever else has a part in the listener. */
export function ownersOfListener(resource: EnvoyResource | undefined): readonly (ResourceKey | undefined)[] {
  const owners = resource?.owners ?? [];
  const gateways = owners.filter((owner) => owner.startsWith("Gateway "));
  if (gateways.length > 0) return gateways;
  return owners.length > 0 ? owners : [undefined];
}

function problemsOf(resource: EnvoyResource, findings: readonly Finding[]): Problem[] {
  const problems: Problem[] = [];
  for (const finding of findings) {
    const owners = ownersOf(resource.owners, finding.hint);
    const severity = finding.reason === "EnvoyResourceUnreadable" ? "error" : "warning";
    const message = `${finding.message} (Envoy's ${kindOf(resource.typeUrl)} ${resource.name})`;
    const hint = finding.reason === "EnvoyFieldNotExecuted" ? { hint: "run with --proxy envoy to have it executed" } : {};
    if (owners.length === 0) problems.push(problem(severity, undefined, finding.reason, message, hint));
    for (const owner of owners) problems.push(problem(severity, owner, finding.reason, message, hint));
  }
  return problems;
}

/** Those owners that the virtual host or a step of the route is named after; all of them where that tells nothing. */
function ownersOf(owners: readonly ResourceKey[], hint: string): readonly ResourceKey[] {
  if (hint === "" || owners.length <= 1) return owners;
  const [host = "", route = ""] = hint.split(" ");
  const named = owners.filter((owner) => {
    const { kind, ref } = parseResourceKey(owner);
    const part = envoyName(`${ref.namespace}_${ref.name}`);
    return part === envoyName(host) || (kind === "RouteTable" && hasStep(envoyName(route), `rt:${part}`));
  });
  return named.length > 0 ? named : owners;
}

/** Names of routes say by which tables they came: `vs:proxy_shop_web_rt:shop_cart_cheap-matcher-0`. */
function hasStep(route: string, step: string): boolean {
  const at = route.indexOf(step);
  return at >= 0 && /^(?:_|-matcher-|$)/.test(route.slice(at + step.length));
}

/** Envoy's names of virtual hosts and routes have no dots. */
function envoyName(name: string): string {
  return name.replaceAll(".", "_");
}
