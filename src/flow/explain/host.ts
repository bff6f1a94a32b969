// Which virtual host takes a request, by which of its domains, and which others were near.
import type { DryRun } from "../../dataplane/dry-run/dry-run.ts";
import type { ModelVirtualHost } from "../../model/virtual-host.ts";
import type { Where } from "./explain.ts";
import type { ExplainedHost, NearHost, Written } from "./explanation.ts";

type ModelOf = (virtualHost: string) => ModelVirtualHost | undefined;

export function virtualHostOf({ domains, config }: DryRun, modelOf: ModelOf, where: Where): ExplainedHost | undefined {
  if (domains?.found === undefined || config === undefined) return undefined;
  const { host, domain, kind } = domains.found;
  return { name: host.name, routeConfiguration: config.name, domain, matchedAs: kind, ...fromOf(modelOf(host.name), domain, where) };
}

export function nearHosts({ domains }: DryRun, modelOf: ModelOf, where: Where): readonly NearHost[] {
  return (domains?.near ?? []).map(({ host, domain, because }) => ({
    name: host.name,
    domain,
    because,
    ...fromOf(modelOf(host.name), domain, where),
  }));
}

function fromOf(model: ModelVirtualHost | undefined, domain: string, where: Where): { readonly from?: Written } {
  if (model === undefined) return {};
  const index = model.host.domains.indexOf(domain);
  return { from: where(model.resource, index < 0 ? "virtualHost" : `virtualHost.domains[${index}]`) };
}
