// What compiling a resource found out, each with the place in the Envoy resource; turned into Problems on its owners.

import type { Reason } from "../../model/catalog.ts";

export type FindingReason = Extract<
  Reason,
  "EnvoyFieldNotExecuted" | "CommandOperatorNotExecuted" | "EnvoyValueRefused" | "EnvoyResourceUnreadable"
>;

export interface Finding {
  readonly reason: FindingReason;
  /** In the Envoy resource: `virtual_hosts["web"].routes[3].route.cors`. */
  readonly path: string;
  readonly message: string;
  /** Names (of a virtual host, a route) that may tell which owner it is. */
  readonly hint: string;
}

/** Collects findings under a path. */
export class Findings {
  readonly all: Finding[];
  readonly base: string;
  readonly #hint: string;

  constructor(all: Finding[] = [], base = "", hint = "") {
    this.all = all;
    this.base = base;
    this.#hint = hint;
  }

  at(path: string, hint = this.#hint): Findings {
    return new Findings(this.all, this.#join(path), hint);
  }

  notExecuted(path: string, consequence = ""): void {
    const full = this.#join(path);
    this.#add("EnvoyFieldNotExecuted", full, `the embedded data plane does not execute ${full}${consequence}`);
  }

  operator(path: string, operator: string): void {
    const full = this.#join(path);
    this.#add("CommandOperatorNotExecuted", full, `the embedded data plane does not know the command operator ${operator} in ${full}`);
  }

  refused(path: string, why: string): void {
    const full = this.#join(path);
    this.#add("EnvoyValueRefused", full, `${full}: ${why}`);
  }

  #add(reason: FindingReason, path: string, message: string): void {
    this.all.push({ reason, path, message, hint: this.#hint });
  }

  #join(path: string): string {
    if (this.base === "") return path;
    return path === "" ? this.base : `${this.base}.${path}`;
  }
}
