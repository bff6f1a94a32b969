// Where the embedded data plane differs from Envoy on purpose, each with its reason. All but the last are refusals or removals: what Envoy lets
// through and two parsers could read differently, or what a proxy must not pass on.

export interface Explained {
  readonly reason: string;
  /** Whether a request (its bytes) falls under it. */
  readonly applies: (request: string) => boolean;
  /** The differences that it explains; everything of the pair when absent. */
  readonly lines?: RegExp;
}

const header = (name: string) => new RegExp(`\\r\\n${name}[ \\t]*:`, "i");

export const explained: readonly Explained[] = [
  {
    reason: "Content-Length is forwarded in its canonical form: 002 is 2",
    applies: (request) => /content-length: 0\d/i.test(request),
    lines: /forwarded\.headers\.content-length/,
  },
  {
    reason: "Proxy-Authorization, TE and Trailer are hop-by-hop (RFC 9110 §7.6.1); this hop has no use for them and the next is not meant",
    applies: (request) => header("(?:proxy-authorization|te|trailer)").test(request),
    lines: /forwarded\.headers\.(?:proxy-authorization|te|trailer)/,
  },
  {
    reason: "an Expect that is not 100-continue is answered with 417 (RFC 9110 §10.1.1)",
    applies: (request) => header("expect").test(request),
  },
  { reason: "TRACE and CONNECT are answered with 405", applies: (request) => /^(?:TRACE|CONNECT) /.test(request) },
  { reason: "two Host headers are refused (RFC 9112 §3.2)", applies: (request) => (request.match(/\r\nhost:/gi)?.length ?? 0) > 1 },
  {
    reason: "a Host that is not one is refused (RFC 9112 §3.2)",
    applies: (request) => /\r\nhost:[ \t]*(?:[^\r\n]*[@/?#][^\r\n]*)?\r\n/i.test(request),
  },
  {
    reason: "obs-fold, bare LF and bare CR are refused (RFC 9112 §2.2, §5.2)",
    applies: (request) => /\r\n[ \t]|[^\r]\n|\r[^\n]/.test(request),
  },
  {
    reason: "an https target on a plain connection is refused, with use_remote_address or without",
    applies: (request) => / https:\/\//i.test(request),
  },
  { reason: "%00 in a path is refused", applies: (request) => /^[^\r]*%00/.test(request) },
  {
    reason: "a response 101 is only passed when it answers the upgrade that was asked for; otherwise it is 502",
    applies: (request) => request.includes(Buffer.from("HTTP/1.1 101").toString("base64")),
  },
  {
    reason: "a refused upgrade: the upstream's own answer is passed on, with Connection: close, where Envoy drops its body (RFC 9931)",
    applies: (request) => header("upgrade").test(request),
  },
];
