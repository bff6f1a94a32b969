// OCSP responses (RFC 6960), as far as a server that hands them on looks at them.

const sequence = 0x30;
const enumerated = 0x0a;
const successful = 0;

/** Why a server would refuse to staple these bytes; undefined when they are one successful response. */
export function ocspFault(der: Uint8Array): string | undefined {
  const response = elementAt(der, 0);
  if (response?.tag !== sequence) return "it is no OCSP response";
  if (response.end !== der.length) return "there is more in it than one OCSP response";
  const status = elementAt(der, response.start);
  if (status?.tag !== enumerated || status.end - status.start !== 1) return "it is no OCSP response";
  const code = der[status.start];
  if (code !== successful) return `it is an answer without success (status ${code})`;
  return elementAt(der, status.end) === undefined ? "the answer is empty" : undefined;
}

interface Element {
  readonly tag: number;
  /** Of the content. */
  readonly start: number;
  readonly end: number;
}

/** The DER element that begins here; undefined where none does, or where it ends after the bytes. */
function elementAt(der: Uint8Array, at: number): Element | undefined {
  const [tag, first] = [der[at], der[at + 1]];
  if (tag === undefined || first === undefined) return undefined;
  const count = first < 0x80 ? 0 : first & 0x7f;
  if (count > 4) return undefined;
  let length = count === 0 ? first : 0;
  for (let i = 0; i < count; i++) length = length * 256 + (der[at + 2 + i] ?? 0);
  const start = at + 2 + count;
  return start + length <= der.length ? { tag, start, end: start + length } : undefined;
}
