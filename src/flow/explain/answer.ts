// Who answers, and what; or why nobody does.
import { type Answered, type DryRun, dryRun, type Outcome } from "../../dataplane/dry-run/dry-run.ts";
import type { DryResources } from "../../dataplane/dry-run/resources.ts";
import { headerValue } from "../../dataplane/http1/headers.ts";
import { unicodeText } from "../../dataplane/text.ts";
import { fallbackCluster } from "../../translate/invalid-routes.ts";
import type { ExplainedAnswer, ExplainedDestination } from "./explanation.ts";

interface Answer {
  readonly answers: boolean;
  readonly answer: ExplainedAnswer;
}

export function answerOf(resources: DryResources, run: DryRun, destinations: readonly ExplainedDestination[]): Answer {
  const { outcome } = run;
  switch (outcome.kind) {
    case "closed":
      return { answers: false, answer: { by: "nobody", because: outcome.because } };
    case "sent":
      return sentAnswer(resources, outcome, destinations);
    case "answered":
      return ownAnswer(outcome, run);
  }
}

function sentAnswer(
  resources: DryResources,
  outcome: Extract<Outcome, { kind: "sent" }>,
  destinations: readonly ExplainedDestination[],
): Answer {
  if (outcome.cluster === fallbackCluster) return fallbackAnswer(resources, outcome);
  const isKnown = destinations.find(({ isFollowed }) => isFollowed)?.areEndpointsKnown ?? true;
  if (outcome.host === undefined && isKnown)
    return { answers: false, answer: { by: "proxy", status: 503, because: `the cluster ${outcome.cluster} has no endpoints` } };
  return { answers: true, answer: { by: "upstream" } };
}

/** A listener of the proxy itself is behind that cluster. */
function fallbackAnswer(resources: DryResources, { request, host }: Extract<Outcome, { kind: "sent" }>): Answer {
  const listener = resources.listeners.find(({ compiled: { address } }) => address?.kind === "pipe" && address.path === host?.address);
  const { method, path: target, authority } = request;
  const run =
    listener && dryRun(resources, listener, { method, target, authority, headers: [], isTls: false, serverName: "", protocols: [] });
  const because = "the route is invalid, and invalidConfigPolicy answers for it";
  if (run?.outcome.kind !== "answered") return { answers: false, answer: { by: "fallback", because } };
  return { answers: true, answer: { ...answerText(run.outcome), by: "fallback", because } };
}

function ownAnswer(outcome: Answered, run: DryRun): Answer {
  const answer = answerText(outcome);
  switch (outcome.by) {
    case "route":
      return { answers: true, answer: { ...answer, by: run.route?.action.kind === "redirect" ? "redirect" : "directResponse" } };
    case "filter":
      return { answers: true, answer: { ...answer, by: "filter", because: outcome.details } };
    default:
      // It sends clients to https, or to the plain form of a path. Clients of gRPC are told of failures with 200.
      return { answers: outcome.status >= 300 && outcome.status < 400, answer: { ...answer, by: "proxy", because: because(outcome, run) } };
  }
}

function answerText({ status, headers, body }: Answered): Omit<ExplainedAnswer, "by"> {
  const location = headerValue([...headers], "location");
  const shown = headers.flatMap((name, i) => {
    const isShown = i % 2 === 0 && !["location", "date", "server"].includes(name);
    return isShown ? [{ name, value: unicodeText(headers[i + 1] as string) }] : [];
  });
  return {
    status,
    ...(location !== undefined && { location: unicodeText(location) }),
    ...(body !== "" && { body: unicodeText(body) }),
    ...(shown.length > 0 && { headers: shown }),
  };
}

function because({ details, cluster }: Answered, { config, domains, route }: DryRun): string {
  switch (details) {
    case "route_not_found":
      if (config === undefined) return "there are no routes for this listener";
      return domains?.found === undefined ? "no virtual host has this host" : "no route of the virtual host takes it";
    case "cluster_not_found":
      return `there is no cluster ${cluster ? JSON.stringify(cluster) : "of that name"}`;
    case "no_healthy_upstream":
      return `no endpoint of ${cluster} may be used`;
    case "missing_host_header":
      return "there is no Host";
    case "path_not_absolute":
      return "the path does not begin with a slash";
    case "path_normalization_failed":
      return "the path has escaped slashes, which the listener refuses";
    case "route_not_executed":
      return "the embedded data plane does not execute what this route does";
    case "cluster_not_executed":
      return "the embedded data plane does not speak what this cluster speaks";
    case "direct_response":
      return route === undefined ? "the path is put right first" : "the virtual host wants https";
    default:
      return details;
  }
}
