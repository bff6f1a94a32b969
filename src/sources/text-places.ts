// Offsets of a text, or of a part of one, as places that a person finds.
import { LineStarts } from "../lib/line-starts.ts";
import type { Place } from "../model/problem.ts";
import type { Span } from "./yaml-node.ts";

/** Of a text in front of which there are lines that are not shown. */
export function locator(text: string, file: string, linesBefore = 0): (span: Span) => Place | undefined {
  let lines: LineStarts | undefined;
  return (span) => {
    if (span.start < 0) return undefined;
    lines ??= new LineStarts(text);
    return placeOf(text, file, lines, span, linesBefore);
  };
}

export function placeOf(text: string, file: string, lines: LineStarts, span: Span, linesBefore = 0): Place {
  const { line: own, column } = lines.at(Math.min(span.start, text.length));
  const line = linesBefore + own;
  // What goes on in the next line is marked to the end of the first.
  const lineEnd = text.indexOf("\n", span.start);
  const end = lineEnd === -1 ? span.end : Math.min(span.end, lineEnd);
  return { file, line, column, ...(end > span.start && { endColumn: column + end - span.start }) };
}
