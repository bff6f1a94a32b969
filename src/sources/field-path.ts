// Paths of fields as problems name them: `virtualHost.routes[2].options.timeout`; a map key that is no plain word in quotes:
// `labels["example.com/tier"]`.

export type Segment = string | number;

const plainWord = /^[A-Za-z_$@][\w$-]*$/;

export function formatPath(segments: readonly Segment[]): string {
  let path = "";
  for (const segment of segments) {
    if (typeof segment === "number") path += `[${segment}]`;
    else if (!plainWord.test(segment)) path += `[${JSON.stringify(segment)}]`;
    else path += path === "" ? segment : `.${segment}`;
  }
  return path;
}

/** The segments of a path; as much as can be read of it when it is malformed. */
export function parsePath(path: string): Segment[] {
  const segments: Segment[] = [];
  const token = /\.?([^.[\]"]+)|\[(\d+)\]|\[("(?:[^"\\]|\\.)*")\]/gy;
  for (let match = token.exec(path); match; match = token.exec(path)) {
    if (match[1] !== undefined) segments.push(match[1]);
    else if (match[2] !== undefined) segments.push(Number(match[2]));
    else segments.push(JSON.parse(match[3]!) as string);
  }
  return segments;
}
