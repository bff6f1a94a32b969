// Sets of bytes, as pairs: from, to. What the classes of regular expressions stand for.

/** Bytes in pairs: from, to. */
export type ByteSet = readonly number[];

export const digit: ByteSet = [48, 57];
export const word: ByteSet = [48, 57, 65, 90, 95, 95, 97, 122];
export const space: ByteSet = [9, 13, 32, 32];
export const posix: Readonly<Record<string, ByteSet>> = {
  alnum: [48, 57, 65, 90, 97, 122],
  alpha: [65, 90, 97, 122],
  blank: [9, 9, 32, 32],
  cntrl: [0, 31, 127, 127],
  digit,
  d: digit,
  graph: [33, 126],
  lower: [97, 122],
  print: [32, 126],
  punct: [33, 47, 58, 64, 91, 96, 123, 126],
  space,
  s: space,
  upper: [65, 90],
  xdigit: [48, 57, 65, 70, 97, 102],
  w: word,
  word,
};

export function one(c: string): ByteSet {
  const code = c.charCodeAt(0);
  return [code, code];
}

/** Sorted, and without overlaps. */
export function joined(ranges: ByteSet): ByteSet {
  const members = new Uint8Array(256);
  for (let i = 0; i < ranges.length; i += 2) members.fill(1, ranges[i], (ranges[i + 1] as number) + 1);
  return rangesOf((code) => members[code] === 1);
}

export function without(ranges: ByteSet): ByteSet {
  const members = new Uint8Array(256);
  for (let i = 0; i < ranges.length; i += 2) members.fill(1, ranges[i], (ranges[i + 1] as number) + 1);
  return rangesOf((code) => members[code] === 0);
}

function rangesOf(isIn: (code: number) => boolean): ByteSet {
  const ranges: number[] = [];
  for (let code = 0; code < 256; code++) {
    if (!isIn(code)) continue;
    if (ranges.length > 0 && ranges.at(-1) === code - 1) ranges[ranges.length - 1] = code;
    else ranges.push(code, code);
  }
  return ranges;
}
