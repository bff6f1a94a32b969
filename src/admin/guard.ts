// Who may ask the admin server. On loopback, anybody on this machine, but no web page: a page that a browser shows may not reach us
// through a name that resolves to 127.0.0.1 (DNS rebinding), nor through a form or fetch from its own origin. Off loopback, only
// who has the token.
import { hash, timingSafeEqual } from "node:crypto";
import type { MiddlewareHandler } from "hono";

export interface GuardOptions {
  /** Without one, only loopback names are answered. */
  readonly token?: string;
  /** Further host names to answer to. */
  readonly hosts?: readonly string[];
}

const loopbackHosts = ["localhost", "127.0.0.1", "[::1]"];

/** Probes say one word and must work for a kubelet, which has no token. */
const openPaths = new Set(["/livez", "/readyz"]);

export function guard({ token, hosts = [] }: GuardOptions): MiddlewareHandler {
  const allowed = new Set([...loopbackHosts, ...hosts].map((host) => host.toLowerCase()));
  return async (context, next) => {
    const origin = context.req.header("origin");
    if (origin !== undefined && !allowed.has(hostOfOrigin(origin))) return context.json(problem("origin is not allowed"), 403);
    if (token === undefined) {
      if (!allowed.has(hostName(context.req.header("host") ?? ""))) return context.json(problem("host is not allowed"), 403);
    } else if (!openPaths.has(context.req.path) && !isSame(bearer(context.req.header("authorization")), token)) {
      return context.json(problem("a token is needed: Authorization: Bearer …"), 401, { "WWW-Authenticate": "Bearer" });
    }
    await next();
  };
}

function problem(error: string) {
  return { error };
}

/** The name of a Host header, without its port. */
function hostName(host: string): string {
  return host.replace(/:\d*$/, "").toLowerCase();
}

/** Of `http://localhost:3000`; empty for `null` and whatever else is no origin. */
function hostOfOrigin(origin: string): string {
  const match = /^https?:\/\/([^/]+)$/.exec(origin);
  return match ? hostName(match[1] as string) : "";
}

function bearer(authorization: string | undefined): string {
  return /^Bearer +(\S+)$/i.exec(authorization ?? "")?.[1] ?? "";
}

/** In constant time, whatever the lengths. */
function isSame(given: string, wanted: string): boolean {
  return timingSafeEqual(hash("sha256", given, "buffer"), hash("sha256", wanted, "buffer"));
}
