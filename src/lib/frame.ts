// The lines of a text around a place, with the place marked: what compilers print.
//
//       20 |       routeAction:
//       21 |         single:
//     > 22 |           upstrem: {name: petstore, namespace: shop}
//          |           ^^^^^^^ did you mean "upstream"?

export interface FramePlace {
  /** From 1, as editors count. */
  readonly line: number;
  readonly column: number;
  readonly endColumn?: number;
}

/** Longer lines are cut: what is marked matters, not what else the line holds. */
const longestLine = 160;

/** How many lines before the marked one are shown. */
const linesBefore = 2;

/** Undefined when the text has no such line. `note` stands behind the mark. */
export function codeFrame(text: string, place: FramePlace, note = ""): string[] | undefined {
  const lines = text.split(/\r\n|\n|\r/);
  const marked = lines[place.line - 1];
  if (marked === undefined) return undefined;
  const first = Math.max(1, place.line - linesBefore);
  const width = String(place.line).length;
  const gutter = (number: number) => `${number === place.line ? ">" : " "} ${String(number).padStart(width)} | `;
  const shown = lines.slice(first - 1, place.line).map((line, index) => `${gutter(first + index)}${clean(line)}`.trimEnd());
  const start = Math.min(place.column, marked.length + 1, longestLine) - 1;
  const length = Math.max(1, Math.min(place.endColumn ?? place.column + 1, marked.length + 1, longestLine) - place.column);
  // Tabs stay tabs in the line of the mark, so that it stands below what it means.
  const indent = clean(marked.slice(0, start)).replace(/[^\t]/g, " ");
  return [...shown, `${" ".repeat(width + 2)} | ${indent}${"^".repeat(length)}${note ? ` ${note}` : ""}`];
}

/** A line as a terminal may show it: no control characters of the file reach it. */
function clean(line: string): string {
  // biome-ignore lint/suspicious/noControlCharactersInRegex: these are the ones to take out
  const text = line.replace(/[\u0000-\u0008\u000b-\u001f\u007f-\u009f]/g, "�");
  return text.length > longestLine ? `${text.slice(0, longestLine)}…` : text;
}
