// A piece of a text with one place in it marked:
//
//     20 |       routeAction:
//     21 |         single:
//   > 22 |           upstrem: {name: petstore, namespace: shop}
//        |           ^^^^^^^ did you mean "upstream"?

export interface FramePlace {
  /** 1-based. */
  readonly line: number;
  readonly column: number;
  /** Column after the last character that is meant, on the same line. */
  readonly endColumn?: number;
}

/** How the parts look, for who knows about colours; plain unless given. */
export interface FrameStyle {
  /** Line numbers and bars. */
  readonly gutter: (text: string) => string;
  /** `>`, carets and the note behind them. */
  readonly mark: (text: string) => string;
  readonly code: (text: string) => string;
}

const plain: FrameStyle = { gutter: (text) => text, mark: (text) => text, code: (text) => text };

export interface FrameOptions {
  /** Behind the carets. */
  readonly note?: string;
  /** Lines shown before the marked one; 2 unless given. */
  readonly before?: number;
  readonly style?: FrameStyle;
  /** Longer lines are cut around the place; 160 unless given. */
  readonly width?: number;
}

/** The frame, lines joined by newlines, without indentation of its own; undefined when the text has no such line. */
export function codeFrame(text: string, place: FramePlace, options: FrameOptions = {}): string | undefined {
  const { note, before = 2, style = plain, width = 160 } = options;
  const lines = linesUpTo(text, place.line);
  const marked = lines[place.line - 1];
  if (marked === undefined) return undefined;
  const digits = String(place.line).length;
  const cut = Math.max(0, place.column - 1 - Math.floor(width / 2));
  const from = marked.length > width ? cut : 0;
  const shown: string[] = [];
  for (let line = Math.max(1, place.line - before); line <= place.line; line++) {
    const isMarked = line === place.line;
    const gutter = `${String(line).padStart(digits)} |`;
    const code = printable(lines[line - 1]!.slice(from, from + width)).trimEnd();
    const bar = isMarked ? `${style.mark(">")} ${style.gutter(gutter)}` : `  ${style.gutter(gutter)}`;
    shown.push(code === "" ? bar : `${bar} ${style.code(code)}`);
  }
  const indent = printable(marked.slice(from, place.column - 1))
    .padEnd(place.column - 1 - from)
    .replaceAll(/[^ ]/g, " ");
  const end = Math.min(place.endColumn ?? place.column + 1, Math.max(marked.length + 1, place.column + 1), from + width + 1);
  const carets = "^".repeat(Math.max(1, end - place.column));
  const pointer = style.mark(note === undefined ? carets : `${carets} ${note}`);
  shown.push(`${style.gutter(`${" ".repeat(digits + 3)}|`)} ${indent}${pointer}`);
  return shown.join("\n");
}

function linesUpTo(text: string, line: number): string[] {
  const lines: string[] = [];
  let from = 0;
  while (lines.length < line && from <= text.length) {
    const end = text.indexOf("\n", from);
    lines.push(text.slice(from, end === -1 ? text.length : end).replace(/\r$/, ""));
    if (end === -1) break;
    from = end + 1;
  }
  return lines;
}

/** Tabs and control characters as one space each: carets must stand below what they mean, and a file must not drive a terminal. */
function printable(code: string): string {
  // biome-ignore lint/suspicious/noControlCharactersInRegex: they are what is looked for
  return code.replaceAll(/[\u0000-\u001f\u007f-\u009f]/g, " ");
}
