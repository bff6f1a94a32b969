// An ai Upstream → Envoy's cluster: the provider's host over TLS, and its token among the HTTP filters of the cluster, so that it is in
// one place and no route knows it. Pure.
import { onRouteAction } from "../../envoy/drafts.ts";
import { packAny } from "../../envoy/encode.ts";
import { hostCluster, httpFilter } from "../../envoy/hostCluster.ts";
import { HeaderValueOption_HeaderAppendAction as AppendAction } from "../../gen/envoy/envoy/config/core/v3/base_pb.js";
import { HeaderMutationSchema } from "../../gen/envoy/envoy/extensions/filters/http/header_mutation/v3/header_mutation_pb.js";
import { formatRef } from "../../model/ref.ts";
import type { ClusterDraft, RouteDraft, TypeContext, TypedUpstream } from "../../plugin/upstream-type.ts";
import { type Provider, providerOf } from "./providers.ts";

export function aiCluster({ name, spec }: TypedUpstream<"ai">, context: TypeContext): ClusterDraft | undefined {
  const { report } = context;
  const provider = providerOf(spec);
  if ("why" in provider) {
    report.error("AiProvider", provider.why, {
      path: provider.field === "" ? "ai" : `ai.${provider.field}`,
      hint: "one of openai, mistral, anthropic, azureOpenai, gemini",
    });
    return undefined;
  }
  if (!/^[A-Za-z0-9]([A-Za-z0-9.-]{0,251}[A-Za-z0-9])?$/.test(provider.hostname)) {
    report.error("AiProvider", `"${provider.hostname}" is not a host name`, { path: `ai.${provider.field}` });
  }
  for (const field of provider.withoutEffect) {
    report.warn("AiProvider", `${field} has no effect: a stock Envoy does not change what clients ask for`, {
      path: `ai.${provider.field}.${field}`,
    });
  }
  const headers = tokenHeaders(provider, context);
  if (report.hasErrors || headers === undefined) return undefined;
  const mutations = Object.entries({ ...provider.headers, ...headers }).map(([key, value]) => ({
    action: {
      case: "append" as const,
      value: { header: { key, value: value.replaceAll("%", "%%") }, appendAction: AppendAction.OVERWRITE_IF_EXISTS_OR_ADD },
    },
  }));
  const { hostname, port } = provider;
  const filter = httpFilter("headworks.ai", packAny(HeaderMutationSchema, { mutations: { requestMutations: mutations } }));
  return hostCluster({ name, hostname, port, httpFilters: mutations.length > 0 ? [filter] : [] });
}

/** Path and host of the provider; the rest of the route is the user's. */
export function aiRoute(route: RouteDraft, { spec }: TypedUpstream<"ai">): RouteDraft {
  const provider = providerOf(spec);
  if ("why" in provider) return route;
  return onRouteAction(route, (action) => {
    const isRewritten = action.regexRewrite !== undefined || (action.prefixRewrite ?? "") !== "" || provider.path === undefined;
    return {
      ...action,
      ...(!isRewritten && { regexRewrite: { pattern: { regex: "^.*$" }, substitution: (provider.path ?? "").replaceAll("\\", "\\\\") } }),
      ...(!action.hostRewriteSpecifier?.case && {
        hostRewriteSpecifier: { case: "hostRewriteLiteral" as const, value: provider.hostname },
      }),
    };
  });
}

/** Undefined after an error. */
function tokenHeaders(
  { field, token, tokenHeader }: Provider,
  { world, report }: TypeContext,
): Readonly<Record<string, string>> | undefined {
  const path = `ai.${field}.authToken`;
  const source = token?.authTokenSource;
  switch (source?.case) {
    case "passthrough":
      return {};
    case "inline":
      return source.value === "" ? missing() : headerOf(source.value);
    case "secretRef": {
      const secret = world.get("Secret", source.value)?.spec;
      if (secret === undefined) {
        report.error("CloudSecretNotFound", `list did not find secret ${formatRef(source.value)}`, {
          path: `${path}.secretRef`,
          elsewhere: true,
        });
        return undefined;
      }
      const found =
        secret.kind.case === "header"
          ? Object.entries(secret.kind.value.headers).find(([key]) => key.toLowerCase() === "authorization")
          : undefined;
      if (found === undefined || found[1] === "") {
        report.error("CloudSecretOfOtherKind", `secret ${formatRef(source.value)} has no header Authorization`, {
          path: `${path}.secretRef`,
          elsewhere: true,
        });
        return undefined;
      }
      return headerOf(found[1]);
    }
    default:
      return missing();
  }

  function missing(): undefined {
    report.error("AiTokenMissing", "no token is given", { path, hint: "authToken: {secretRef: {name: …, namespace: …}}" });
    return undefined;
  }

  function headerOf(value: string): Readonly<Record<string, string>> | undefined {
    const bare = value.trim().replace(/^Bearer +/i, "");
    if (!/^[\x21-\x7e]+$/.test(bare)) {
      report.error("AiTokenMissing", "the token cannot be sent in a header: it has spaces, line breaks or other than ASCII in it", {
        path,
      });
      return undefined;
    }
    return { [tokenHeader]: tokenHeader === "authorization" ? `Bearer ${bare}` : bare };
  }
}
