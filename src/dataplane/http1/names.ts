// Header names: lower-cased once, and the few that the proxy itself acts on get a number to switch on.

export const known = {
  connection: 1,
  "content-length": 2,
  "transfer-encoding": 3,
  host: 4,
  "keep-alive": 5,
  "proxy-connection": 6,
  "proxy-authorization": 7,
  "proxy-authenticate": 8,
  te: 9,
  trailer: 10,
  upgrade: 11,
  expect: 12,
} as const;

export type HeaderCode = 0 | (typeof known)[keyof typeof known];

export interface HeaderName {
  /** Lower case. */
  readonly name: string;
  readonly code: HeaderCode;
}

const token = /^[!#$%&'*+\-.^_`|~0-9A-Za-z]+$/;

// Names come from the network: the cache is bounded, and once full an unseen name is simply looked at each time.
const cacheLimit = 2_000;
const cache = new Map<string, HeaderName>();

/** The header name behind its spelling on the wire; undefined when it is not a token (RFC 9110 §5.1). */
export function headerName(raw: string): HeaderName | undefined {
  const cached = cache.get(raw);
  if (cached !== undefined) return cached;
  if (!token.test(raw)) return undefined;
  const name = raw.toLowerCase();
  const entry: HeaderName = { name, code: Object.hasOwn(known, name) ? known[name as keyof typeof known] : 0 };
  if (cache.size < cacheLimit && raw.length <= 64) cache.set(raw, entry);
  return entry;
}
