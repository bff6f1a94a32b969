// The resources of one type in their compiled form. One that cannot be read leaves the version before in service.

import type { EnvoyResource } from "../model/envoy-resource.ts";
import type { Finding } from "./compile/findings.ts";

export interface Entry<T> {
  readonly resource: EnvoyResource;
  readonly compiled: T;
}

export interface CompilationListener {
  onCompiled(resource: EnvoyResource, findings: readonly Finding[]): void;
  onUnreadable(resource: EnvoyResource, error: unknown): void;
}

export class CompiledResources<T extends { readonly findings: readonly Finding[] }> {
  readonly #entries = new Map<string, Entry<T>>();
  readonly #compile: (resource: EnvoyResource, previous: T | undefined) => T;
  readonly #listener: CompilationListener;

  constructor(compile: (resource: EnvoyResource, previous: T | undefined) => T, listener: CompilationListener) {
    this.#compile = compile;
    this.#listener = listener;
  }

  /** False when the resource is unchanged, or unreadable. */
  upsert(resource: EnvoyResource): boolean {
    const known = this.#entries.get(resource.name);
    if (known?.resource.version === resource.version) return false;
    try {
      const compiled = this.#compile(resource, known?.compiled);
      this.#entries.set(resource.name, { resource, compiled });
      this.#listener.onCompiled(resource, compiled.findings);
      return true;
    } catch (error) {
      this.#listener.onUnreadable(resource, error);
      return false;
    }
  }

  get(name: string): T | undefined {
    return this.#entries.get(name)?.compiled;
  }

  entry(name: string): Entry<T> | undefined {
    return this.#entries.get(name);
  }

  entries(): IterableIterator<Entry<T>> {
    return this.#entries.values();
  }

  names(): IterableIterator<string> {
    return this.#entries.keys();
  }

  /** Whether there was one of that name. */
  delete(name: string): boolean {
    return this.#entries.delete(name);
  }

  clear(): void {
    this.#entries.clear();
  }
}
