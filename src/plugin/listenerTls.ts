// TLS as a client for what a listener talks to by itself: a collector of logs, hosts that requests name.
import type { UpstreamSslConfig } from "../gen/gloo/gloo/projects/gloo/api/v1/ssl/ssl_pb.js";
import type { Reason } from "../model/catalog.ts";
import { Report } from "../model/problem.ts";
import type { ListenerContext } from "./feature.ts";
import { type UpstreamTlsContext, upstreamTlsContext } from "./upstreamTls.ts";

/** The context, or undefined after what is wrong has been refused. `field` is where the settings stand, below the options. */
export function listenerTlsContext(ssl: UpstreamSslConfig, field: string, context: ListenerContext): UpstreamTlsContext | undefined {
  const report = new Report(context.gateway.key);
  const made = upstreamTlsContext(ssl, "", { world: context.world, report });
  for (const { path = "", message, reason, hint } of report.problems)
    context.refuse(`${field}${path}`, message, { reason: reason as Reason, ...(hint && { hint }) });
  return made;
}
