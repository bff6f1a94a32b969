// The page of options: where each is written, what it does, and the tests that observe it on requests through a real Envoy.
import type { DescMessage } from "@bufbuild/protobuf";
import { alternativeTo } from "../../src/features/enterprise.ts";
import { withoutEffect } from "../../src/translate/options.ts";
import { cases } from "../../test/options/cases.ts";
import type { Level, OptionCase } from "../../test/options/option-case.ts";
import { comment } from "./comment.ts";
import { cell } from "./page.ts";
import type { Reference } from "./types.ts";

interface OptionLevel {
  readonly level: Level;
  readonly title: string;
  /** Where its fields are written. */
  readonly place: string;
  readonly message: string;
}

const levels: readonly OptionLevel[] = [
  { level: "listener", title: "Listeners", place: "`options` of a Gateway", message: "gloo.solo.io.ListenerOptions" },
  { level: "http", title: "HTTP listeners", place: "`httpGateway.options` of a Gateway", message: "gloo.solo.io.HttpListenerOptions" },
  {
    level: "hcm",
    title: "HTTP connections",
    place: "`httpGateway.options.httpConnectionManagerSettings` of a Gateway",
    message: "hcm.options.gloo.solo.io.HttpConnectionManagerSettings",
  },
  { level: "tcp", title: "TCP listeners", place: "`tcpGateway.options` of a Gateway", message: "gloo.solo.io.TcpListenerOptions" },
  {
    level: "routeConfiguration",
    title: "Route configurations",
    place: "`routeOptions` of a Gateway",
    message: "gloo.solo.io.RouteConfigurationOptions",
  },
  {
    level: "virtualHost",
    title: "Virtual hosts",
    place: "`virtualHost.options` of a VirtualService, and `options` of a VirtualHostOption",
    message: "gloo.solo.io.VirtualHostOptions",
  },
  {
    level: "route",
    title: "Routes",
    place: "`options` of a route of a VirtualService or RouteTable, and of a RouteOption",
    message: "gloo.solo.io.RouteOptions",
  },
  {
    level: "weighted",
    title: "Weighted destinations",
    place: "`options` of one of the destinations of `multi`, or of an UpstreamGroup",
    message: "gloo.solo.io.WeightedDestinationOptions",
  },
];

/** A field with fields that have a level of their own. */
const divided = ["http.httpConnectionManagerSettings"];

export function optionsPage(reference: Reference): string {
  return [
    "# Options",
    '<!-- Made from the protos and the cases in test/options by "npm run reference". Edit them there. -->',
    "Every option of listeners, virtual hosts and routes, with the tests that observe its effect on requests through a real Envoy. Where an " +
      "option is not done here, whoever writes it is told so, and what to do instead; that is tested too. The tests are in `test/options/cases`; " +
      "`npm test -- test/options` runs them.",
    ...levels.flatMap(({ level, title, place, message }) => [
      `## ${title}`,
      `Written in ${place}.`,
      table(level, messageOf(message, reference), reference),
    ]),
  ]
    .join("\n\n")
    .concat("\n");
}

/** Options that no case names, and names in cases that are no options. */
export function optionsWithoutCase(reference: Reference): string[] {
  const named = new Set(cases.flatMap(({ options }) => options));
  const all = new Set(
    levels.flatMap(({ level, message }) => messageOf(message, reference).fields.map(({ jsonName }) => `${level}.${jsonName}`)),
  );
  return [...[...all].filter((each) => !named.has(each) && !divided.includes(each)), ...[...named].filter((each) => !all.has(each))].sort();
}

function table(level: Level, message: DescMessage, reference: Reference): string {
  const link = reference.linkTo(message, "options.md") ?? "";
  const rows = message.fields.map((field) => {
    const name = `${level}.${field.jsonName}`;
    const mine = cases.filter(({ options }) => options.includes(name));
    const shown = divided.includes(name) ? "See HTTP connections, below." : mine.map((each) => told(each, field.jsonName)).join("; ");
    return `| [${field.jsonName}](${link}) | ${cell(firstSentence(comment(field)))} | ${cell(shown)} |`;
  });
  return [`| Option | What it does | What is tested |`, "| ------ | ------------ | -------------- |", ...rows].join("\n");
}

function told({ fact, says }: OptionCase, field: string): string {
  if (says === undefined) return fact;
  const instead = alternativeTo(field) ?? withoutEffect(field).details.hint;
  return fact.includes("told that it has no effect") && instead ? `**not done here**; instead: ${instead}` : fact;
}

/** `e.g.` and the like do not occur in our comments; a dot in a word does. */
function firstSentence(text: string): string {
  const sentences = text.split(/(?<=\.)\s/);
  const isPreface = /^(Deprecated|Enterprise)/.test(sentences[0] ?? "");
  return sentences.slice(0, isPreface ? 2 : 1).join(" ");
}

function messageOf(name: string, reference: Reference): DescMessage {
  for (const file of reference.files)
    for (const type of reference.typesOf(file)) if (type.kind === "message" && type.typeName === name) return type;
  throw new Error(`no message ${name}`);
}
