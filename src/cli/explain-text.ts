// An explanation for people: from the listener to what is sent, each line with its place.
import type {
  ExplainedAnswer,
  ExplainedDestination,
  ExplainedOption,
  ExplainedRoute,
  ExplainedTest,
  Explanation,
  Written,
} from "../flow/explain/explanation.ts";
import type { Paint } from "./terminal.ts";

interface TextOptions {
  /** Every route. */
  readonly all: boolean;
  readonly paint: Paint;
}

interface Line {
  /** Empty: it goes on with what the line before is about. */
  readonly label: string;
  readonly text: string;
  readonly from?: Written | undefined;
  readonly style?: "green" | "red" | "dim" | "yellow";
}

export function explanationText(explanation: Explanation, options: TextOptions): string {
  const { listener, virtualHost, notes, sends } = explanation;
  const taken = explanation.routes.find(({ verdict }) => verdict === "taken")?.from;
  const lines: Line[] = [
    ...notes.map((text): Line => ({ label: "note", text, style: "yellow" })),
    ...(listener
      ? [
          {
            label: "listener",
            text: `${listener.address.includes(":") ? `[${listener.address}]` : listener.address}:${listener.port}  ${nameOf(listener.from)}`,
            from: listener.from,
          },
        ]
      : []),
    ...chainLines(explanation),
    ...requestLines(explanation),
    ...(virtualHost
      ? [
          {
            label: "host",
            text: `${nameOf(virtualHost.from) || virtualHost.name}  domain ${virtualHost.domain}${matchedAs[virtualHost.matchedAs]}`,
            from: virtualHost.from,
          },
        ]
      : []),
    ...explanation.near.map(
      (near): Line => ({
        label: "",
        text: `near: ${nameOf(near.from) || near.name}  domain ${near.domain} ${near.because}`,
        from: near.from,
        style: "dim",
      }),
    ),
    ...routeLines(explanation.routes, options.all),
    ...explanation.options.map((option, i) => optionLine(option, i === 0, taken)),
    ...explanation.filters.map(
      ({ name, did }): Line => ({
        label: "filter",
        text: `${name} ${did === "waits" ? (waitsFor[name] ?? filterDid.waits) : filterDid[did]}`,
      }),
    ),
    ...rewriteLines(explanation),
    ...explanation.destinations.flatMap(destinationLines),
    ...(sends ? sendLines(sends) : []),
    ...answerLines(explanation),
  ];
  return layOut(lines, options.paint);
}

const matchedAs = { exact: "", suffix: "", prefix: "", every: " (takes every host)" } as const;
const filterDid = {
  passed: "lets it pass",
  waits: "waits, and is taken to let it pass",
  answered: "answers it",
} as const;

/** What a filter does that takes time, none of which is done for a request that is only tried. */
const asksService = "asks another service, which is taken to let it pass";
const waitsFor: Readonly<Record<string, string>> = {
  "envoy.filters.http.ext_authz": asksService,
  "envoy.filters.http.ext_proc": asksService,
  "envoy.filters.http.ratelimit": asksService,
  "envoy.filters.http.fault": "delays it, and lets it pass",
  "envoy.filters.http.jwt_authn": "checks its token, which is taken to be good",
};

function nameOf(written: Written | undefined): string {
  return written === undefined ? "" : `${written.kind} ${written.namespace}/${written.name}`;
}

function chainLines({ filterChains, request }: Explanation): Line[] {
  const isPlain = filterChains.length === 1 && filterChains[0]?.tls === false && request.url.startsWith("http:");
  if (isPlain) return [];
  return filterChains.map((chain, i): Line => {
    const names = chain.serverNames.length > 0 ? `for ${chain.serverNames.join(", ")}` : "for every name";
    const text = `${chain.takes ? "✓" : "✗"} ${chain.tls ? `TLS ${names}` : `plain text${chain.serverNames.length > 0 ? ` ${names}` : ""}`}`;
    return { label: i === 0 ? "chain" : "", text, from: chain.from[0], style: chain.takes ? "green" : "dim" };
  });
}

function requestLines({ request }: Explanation): Line[] {
  const { seenPath, seenHost, path, host } = request;
  return [
    ...(seenPath !== undefined ? [{ label: "path", text: `${path} is put right: ${seenPath}` }] : []),
    ...(seenHost !== undefined ? [{ label: "hostname", text: `${host} is put right: ${seenHost}` }] : []),
  ];
}

/** Of routes whose path is another, so many are shown without --all. */
const mostFarOff = 12;

function routeLines(routes: readonly ExplainedRoute[], all: boolean): Line[] {
  const farOff = routes.filter(isFarOff);
  const hidden = new Set(all ? [] : farOff.slice(0, Math.max(0, farOff.length - mostFarOff)));
  const shown = routes.filter(
    (route) => !hidden.has(route) && (all || route.verdict === "taken" || route.verdict === "failed" || route.verdict === "leftOut"),
  );
  const behind = routes.filter(({ verdict }) => verdict === "behind").length;
  return [
    ...(hidden.size > 0
      ? [{ label: "routes", text: `${hidden.size} more were tried whose path is another (--all)`, style: "dim" as const }]
      : []),
    ...shown.map(routeLine),
    ...(behind > 0 && !all
      ? [{ label: "", text: `${behind} later ${behind === 1 ? "route matches" : "routes match"}, too (--all)`, style: "dim" as const }]
      : []),
  ];
}

function isFarOff({ verdict, failed }: ExplainedRoute): boolean {
  return verdict === "failed" && failed[0]?.kind === "path";
}

const marks = { taken: "✓", failed: "✗", behind: "·", behindFailed: " ", leftOut: "!" } as const;
const routeStyles = { taken: "green", failed: "dim", behind: "yellow", behindFailed: "dim", leftOut: "red" } as const;

function routeLine(route: ExplainedRoute): Line {
  const { verdict, index, matcher, matches, failed, from, via } = route;
  const number = index === undefined ? "" : ` ${index}${matcher ? `.${matcher}` : ""}`;
  const why =
    verdict === "leftOut"
      ? "is left out: proxies would refuse it"
      : verdict === "behind"
        ? "matches too, and comes later"
        : failed.map(failedText).join("; ");
  const through = via && verdict === "taken" ? `  through ${nameOf(via)} ${via.path}` : "";
  return {
    label: `${marks[verdict]} route${number}`,
    text: [matches, why].filter((text) => text !== "").join("  ← ") + through,
    from,
    style: routeStyles[verdict],
  };
}

function failedText({ kind, wanted, found }: ExplainedTest): string {
  if (kind === "path") return "the path is another";
  if (kind === "method") return `the method is ${found}`;
  const [, header] = /^header (\S+)/.exec(wanted) ?? [];
  if (header === undefined) return `not so: ${wanted}`;
  return found === undefined ? `there is no ${header}` : `${header} is ${JSON.stringify(found)}`;
}

function optionLine({ field, level, value, from, alsoOnRoute }: ExplainedOption, isFirst: boolean, taken: Written | undefined): Line {
  const text = typeof value === "string" ? value : (JSON.stringify(value) ?? "");
  const whose = { route: "", virtualHost: "  of the virtual host", destination: "  of the destination" }[level];
  const also = alsoOnRoute ? ", beside the route's own" : "";
  const elsewhere = nameOf(from) === nameOf(taken) ? "" : `  ${nameOf(from)}`;
  return { label: isFirst ? "options" : "", text: `${field} ${shortened(text, 44)}${whose}${also}${elsewhere}`, from };
}

function shortened(text: string, most = 60): string {
  return text.length > most ? `${text.slice(0, most - 1)}…` : text;
}

function rewriteLines({ request, sends }: Explanation): Line[] {
  if (sends === undefined) return [];
  const path = request.seenPath ?? request.path;
  const host = request.seenHost ?? request.host;
  return [
    ...(sends.path === path ? [] : [{ label: "rewrite", text: `path ${path} → ${sends.path}` }]),
    ...(sends.host === host ? [] : [{ label: "rewrite", text: `Host ${host} → ${sends.host}` }]),
  ];
}

function destinationLines({ cluster, share, isFollowed, upstream, endpoints, areEndpointsKnown }: ExplainedDestination): Line[] {
  const part = share === 100 ? "" : `  ${Math.round(share * 10) / 10} %${isFollowed ? ", followed here" : ""}`;
  const name = upstream ? `${nameOf(upstream)} (${upstream.type})` : cluster === "" ? "none is named" : `cluster ${cluster}`;
  const first: Line = { label: "upstream", text: `${name}${part}`, from: upstream };
  if (!isFollowed && share !== 100) return [first];
  const listed = endpoints.slice(0, 5).map(({ address, health }) => `${address}${health === "healthy" ? "" : ` (${health})`}`);
  const more = endpoints.length > 5 ? `, and ${endpoints.length - 5} more` : "";
  const text = areEndpointsKnown ? listed.join(", ") + more || "none" : "found while it runs";
  return [first, { label: "endpoints", text, ...(text === "none" && { style: "red" as const }) }];
}

function sendLines({ method, path, host, headers }: NonNullable<Explanation["sends"]>): Line[] {
  return [
    { label: "sends", text: `${method} ${path}` },
    { label: "", text: `Host: ${host}` },
    ...headers.added.map(({ name, value }): Line => ({ label: "", text: `+ ${name}: ${shortened(value)}`, style: "green" })),
    ...headers.changed.map(({ name, value }): Line => ({ label: "", text: `~ ${name}: ${shortened(value)}`, style: "yellow" })),
    ...headers.removed.map((name): Line => ({ label: "", text: `- ${name}`, style: "red" })),
  ];
}

const answeredBy: Readonly<Record<ExplainedAnswer["by"], string>> = {
  upstream: "what the upstream says",
  redirect: "the route redirects",
  directResponse: "the route answers",
  fallback: "the fallback for invalid routes answers",
  filter: "a filter answers",
  proxy: "the proxy itself answers",
  nobody: "there is no answer",
};

function answerLines({ answer, answers }: Explanation): Line[] {
  const { by, status, location, body, because } = answer;
  const what = [status, location && `to ${location}`, body && JSON.stringify(shortened(body))].filter((each) => each).join(" ");
  const text = `${answeredBy[by]}${what ? `: ${what}` : ""}${because ? `  (${because})` : ""}`;
  return [{ label: "answer", text, style: answers ? "green" : "red" }];
}

/** Places stand in a column of their own, as far as lines are short enough. */
const widest = 88;

function layOut(lines: readonly Line[], paint: Paint): string {
  const labels = Math.max(...lines.map(({ label }) => label.length)) + 2;
  const texts = Math.min(widest, Math.max(...lines.filter(({ from }) => placeText(from) !== "").map(({ text }) => text.length), 0)) + 2;
  return lines
    .map(({ label, text, from, style }) => {
      const place = placeText(from);
      const shown = style ? paint(style, text) : text;
      const padding = place === "" ? "" : " ".repeat(Math.max(2, texts - text.length));
      return `${paint("bold", label)}${" ".repeat(labels - label.length)}${shown}${padding}${paint("dim", place)}`.trimEnd();
    })
    .join("\n");
}

function placeText(from: Written | undefined): string {
  return from?.file === undefined ? "" : `${from.file}:${from.line}`;
}
