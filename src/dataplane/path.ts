// What a connection manager does to the path before routes see it. What is matched is what is forwarded.

import type { CompiledHcm } from "./compile/hcm.ts";

export type PreparedPath =
  | { readonly kind: "ok"; readonly path: string }
  | { readonly kind: "refused" }
  /** Unescaped slashes: the client is sent to the plain form. */
  | { readonly kind: "redirect"; readonly path: string };

export type PathRules = Pick<CompiledHcm, "normalizePath" | "mergeSlashes" | "escapedSlashes">;

export function preparePath(path: string, rules: PathRules): PreparedPath {
  const end = path.search(/[?#]/);
  const query = end < 0 ? "" : path.slice(end);
  let plain = end < 0 ? path : path.slice(0, end);
  if (rules.escapedSlashes !== "keep" && /%2f|%5c/i.test(plain)) {
    if (rules.escapedSlashes === "reject") return { kind: "refused" };
    plain = plain.replace(/%2f/gi, "/").replace(/%5c/gi, "\\");
    if (rules.escapedSlashes === "redirect") {
      const normal = normalizeOnly(plain, rules);
      return normal === undefined ? { kind: "refused" } : { kind: "redirect", path: normal + query };
    }
  }
  const normal = normalizeOnly(plain, rules);
  return normal === undefined ? { kind: "refused" } : { kind: "ok", path: normal + query };
}

function normalizeOnly(path: string, rules: PathRules): string | undefined {
  let result: string | undefined = path;
  if (rules.normalizePath && path.startsWith("/")) result = normalizePath(path);
  if (result !== undefined && rules.mergeSlashes) result = mergeSlashes(result);
  return result;
}

/** A path of nothing but slashes keeps two of them, as in Envoy: another path would take another route. */
function mergeSlashes(path: string): string {
  if (!path.includes("//")) return path;
  return /^\/+$/.test(path) ? "//" : path.replace(/\/{2,}/g, "/");
}

/** RFC 3986 §6: dot segments, what needs no escaping unescaped, backslashes as slashes. */
function normalizePath(path: string): string | undefined {
  const unescaped = path.includes("%")
    ? path.replace(/%(?:2[de]|3\d|[46][1-9a-f]|[57][0-9a]|5f|7e)/gi, (each) => decodeURIComponent(each))
    : path;
  const plain = unescaped.includes("\\") ? unescaped.replace(/\\/g, "/") : unescaped;
  if (!plain.includes("/.")) return plain;
  const kept: string[] = [];
  const segments = plain.split("/").slice(1);
  segments.forEach((segment, index) => {
    const isLast = index === segments.length - 1;
    if (segment === ".") {
      if (isLast) kept.push("");
    } else if (segment === "..") {
      kept.pop();
      if (isLast) kept.push("");
    } else kept.push(segment);
  });
  return `/${kept.join("/")}`;
}
