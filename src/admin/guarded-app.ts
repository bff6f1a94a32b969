// What the admin APIs of a gateway and of a data plane have in common: who may ask (guard.ts), and whether the process is well.
import { type Context, Hono } from "hono";
import { type GuardOptions, guard } from "./guard.ts";

export interface GuardedOptions extends GuardOptions {
  /** What readiness consists of, by name; ready when all are. */
  readiness(): Readonly<Record<string, boolean>>;
}

/** With `/`, which answers `index`, `/livez` and `/readyz`. */
export function guardedApp(index: string, options: GuardedOptions): Hono {
  const app = new Hono();
  app.use(secureHeaders);
  app.use(guard(options));
  app.onError((_, context) => context.json({ error: "internal error" }, 500));
  app.notFound((context) => context.json({ error: "there is no such page; / lists them" }, 404));
  app.get("/", (context) => context.text(index));
  app.get("/livez", (context) => context.text("ok\n"));
  app.get("/readyz", (context) => readyz(context, options.readiness()));
  return app;
}

async function secureHeaders(context: Context, next: () => Promise<void>): Promise<void> {
  await next();
  context.header("Content-Security-Policy", "default-src 'none'; frame-ancestors 'none'; base-uri 'none'; form-action 'none'");
  context.header("X-Content-Type-Options", "nosniff");
  context.header("Referrer-Policy", "no-referrer");
  context.header("Cache-Control", "no-store");
}

function readyz(context: Context, readiness: Readonly<Record<string, boolean>>): Response {
  const isReady = Object.values(readiness).every(Boolean);
  const details = Object.entries(readiness).map(([name, is]) => `[${is ? "+" : "-"}] ${name} ${is ? "ok" : "not yet"}\n`);
  const text = context.req.query("verbose") === undefined ? "" : details.join("");
  return context.text(`${text}${isReady ? "ok" : "not ready"}\n`, isReady ? 200 : 503);
}
