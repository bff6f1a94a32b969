// Columns of text, as kubectl prints them.

/** Lines of a table: a heading, then rows; columns as wide as their widest cell, nothing behind the last. */
export function table(heading: readonly string[], rows: readonly (readonly string[])[]): string {
  const all = [heading, ...rows.map((row) => row.map(oneLine))];
  const widths = heading.map((_, column) => Math.max(...all.map((row) => (row[column] ?? "").length)));
  return all
    .map(
      (row) =>
        `${row
          .map((cell, column) => cell.padEnd(widths[column] ?? 0))
          .join("   ")
          .trimEnd()}\n`,
    )
    .join("");
}

/** A cell never breaks its row. */
function oneLine(cell: string): string {
  return cell.replace(/\s*[\r\n]+\s*/g, " ");
}
