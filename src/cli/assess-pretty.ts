// An assessment for people: what does not run first, what to do beside each.
import { table } from "../lib/table.ts";
import { type Assessment, subjectOf, summaryOf, type Topic, wasRejected } from "./assess-objects.ts";
import type { Note } from "./assess-settings.ts";
import { whereOf as placeOf } from "./findings-pretty.ts";
import { count, type Paint, wrapped } from "./terminal.ts";

/** So many places of one topic are shown; -o json has all. */
const mostPlaces = 10;

export function prettyAssessment(assessment: Assessment, name: string, paint: Paint): string {
  const { kinds, topics, notes } = assessment;
  const { resources, asIs, withWarning, notInService } = summaryOf(assessment);
  const rows = kinds.map((each) => [each.kind, `${each.total}`, `${each.asIs}`, `${each.withWarning}`, `${each.notInService}`]);
  const byWeight = (weight: Note["weight"]) => notes.filter((each) => each.weight === weight);
  const sections = [
    table(["KIND", "TOTAL", "AS IS", "WITH A WARNING", "NOT, OR NOT ALL"], rows),
    section("Does not run as it is", [
      ...topics.filter(({ severity }) => severity === "error").map((each) => topicText(each, assessment, paint)),
      ...byWeight("blocks").map((each) => noteText(each, paint)),
    ]),
    section("Runs, and something should be known", [
      ...topics.filter(({ severity }) => severity === "warning").map((each) => topicText(each, assessment, paint)),
      ...byWeight("differs").map((each) => noteText(each, paint)),
    ]),
    section(
      "By the way",
      byWeight("info").map((each) => noteText(each, paint)),
    ),
    `${count(resources, "resource")} in ${name}: ${asIs} run as they are, ${withWarning} with a warning, ${notInService} not, or not all of it\n`,
  ];
  return sections.filter((each) => each !== "").join("\n");

  function section(title: string, parts: readonly string[]): string {
    return parts.length === 0 ? "" : `${paint("bold", title)}\n${parts.join("")}`;
  }
}

function topicText({ code, severity, title, advice, isEnterprise, findings }: Topic, assessment: Assessment, paint: Paint): string {
  const [color, mark] = severity === "error" ? (["red", "✖"] as const) : (["yellow", "⚠"] as const);
  const places = findings.slice(0, mostPlaces).flatMap((finding) => {
    const { problem, place } = finding;
    const [message = ""] = problem.message.trimEnd().split("\n");
    const about = place && problem.resource ? ` (${subjectOf(problem.resource)}${problem.path ? ` ${problem.path}` : ""})` : "";
    return [
      `      ${placeOf(finding)}  ${message}${paint("dim", about)}${wasRejected(finding, assessment) ? " · its stored status is Rejected, too" : ""}`,
      ...(problem.hint ? [`        ${paint("cyan", problem.hint)}`] : []),
    ];
  });
  const more = findings.length > mostPlaces ? [`      … and ${findings.length - mostPlaces} more (-o json)`] : [];
  const edition = isEnterprise ? ` ${paint("magenta", "[enterprise]")}` : "";
  const head = `  ${paint(color, `${mark} ${code}`)} ${title} · ${count(findings.length, "time")}${edition}`;
  return `${[head, ...wrapped(advice, 6).map((line) => paint("dim", line)), ...places, ...more].join("\n")}\n`;
}

function noteText({ subject, what, advice, weight, isEnterprise }: Note, paint: Paint): string {
  const mark = weight === "blocks" ? paint("red", "✖") : weight === "differs" ? paint("yellow", "⚠") : "·";
  const edition = isEnterprise ? ` ${paint("magenta", "[enterprise]")}` : "";
  const lines = [
    `  ${mark} ${paint("bold", subject)} ${what}${edition}`,
    ...(advice ? wrapped(advice, 6).map((line) => paint("cyan", line)) : []),
  ];
  return `${lines.join("\n")}\n`;
}
