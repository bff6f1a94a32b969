// Routes that answer with another place.

import type { RedirectAction } from "../../gen/envoy/envoy/config/route/v3/route_components_pb.js";
import type { PathTest, RequestView } from "../match.ts";
import { RedirectAction_RedirectResponseCode as RedirectCode } from "./enums.ts";
import type { Findings } from "./findings.ts";
import { compilePathRewrite, literal } from "./path-rewrite.ts";

export interface Redirect {
  readonly status: number;
  readonly location: (request: RequestView) => string;
  /** Of the path, without query. */
  readonly rewrite: ((path: string) => string) | undefined;
}

export function compileRedirect(action: RedirectAction, path: PathTest, findings: Findings): Redirect {
  const scheme = action.schemeRewriteSpecifier;
  const wantedScheme = scheme.case === "httpsRedirect" ? (scheme.value ? "https" : undefined) : scheme.value || undefined;
  const wantedHost = action.hostRedirect === "" ? undefined : literal(action.hostRedirect, "host_redirect");
  const port = action.portRedirect;
  const specifier = action.pathRewriteSpecifier;
  if (specifier.case === "pathRewrite") findings.notExecuted("path_rewrite", "; the path is kept");
  const fixedPath = specifier.case === "pathRedirect" && specifier.value !== "" ? literal(specifier.value, "path_redirect") : undefined;
  const rewrite =
    specifier.case === "prefixRewrite"
      ? compilePathRewrite(specifier.value, undefined, path)
      : specifier.case === "regexRewrite"
        ? compilePathRewrite("", specifier.value, path)
        : undefined;
  const status = {
    [RedirectCode.FOUND]: 302,
    [RedirectCode.SEE_OTHER]: 303,
    [RedirectCode.TEMPORARY_REDIRECT]: 307,
    [RedirectCode.PERMANENT_REDIRECT]: 308,
  }[action.responseCode as number];
  return {
    status: status ?? 301,
    rewrite,
    location(request) {
      const finalScheme = wantedScheme ?? request.scheme;
      let host = wantedHost ?? request.authority;
      if (port !== 0) host = `${host.replace(/:\d*$/, "")}:${port}`;
      else if (wantedHost === undefined && wantedScheme !== undefined) {
        // The default port of the scheme that is left says nothing any more.
        if ((request.scheme === "http" && host.endsWith(":80")) || (request.scheme === "https" && host.endsWith(":443"))) {
          host = host.slice(0, host.lastIndexOf(":"));
        }
      }
      const query = request.path.indexOf("?");
      const pathPart = query < 0 ? request.path : request.path.slice(0, query);
      const queryPart = action.stripQuery || query < 0 ? "" : request.path.slice(query);
      let target: string;
      if (fixedPath !== undefined) target = fixedPath.includes("?") ? fixedPath : fixedPath + queryPart;
      else target = (rewrite === undefined ? pathPart : rewrite(pathPart)) + queryPart;
      return `${finalScheme}://${host}${target}`;
    },
  };
}
