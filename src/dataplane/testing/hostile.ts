// Requests that attackers send: the bad-input catalogue, and what comes of it when it is cut, joined and bent.
import fc from "fast-check";

export const post = (headers: string, body = "") => `POST /p HTTP/1.1\r\nHost: a\r\n${headers}\r\n${body}`;
export const get = (headers = "", target = "/p") => `GET ${target} HTTP/1.1\r\nHost: a\r\n${headers}\r\n`;
export const chunked = (body: string) => post("Transfer-Encoding: chunked\r\n", body);

/** What it is, its bytes as latin1, and the status that it is answered with before the connection is closed. */
export const refused: readonly (readonly [string, string, number | readonly number[]])[] = [
  ["Content-Length and Transfer-Encoding", post("Content-Length: 2\r\nTransfer-Encoding: chunked\r\n", "0\r\n\r\n"), 400],
  ["Transfer-Encoding and Content-Length", post("Transfer-Encoding: chunked\r\nContent-Length: 2\r\n", "0\r\n\r\n"), 400],
  ["Content-Length twice", post("Content-Length: 2\r\nContent-Length: 2\r\n", "hi"), 400],
  ["Content-Length 2, 2", post("Content-Length: 2, 2\r\n", "hi"), 400],
  ["Content-Length +2", post("Content-Length: +2\r\n", "hi"), 400],
  ["Content-Length -1", post("Content-Length: -1\r\n", "hi"), 400],
  ["Content-Length 0x2", post("Content-Length: 0x2\r\n", "hi"), 400],
  ["Content-Length empty", post("Content-Length:\r\n", "hi"), 400],
  ["Content-Length of 20 digits", post("Content-Length: 12345678901234567890\r\n", "hi"), 400],
  ["Content-Length with a space before the colon", post("Content-Length : 2\r\n", "hi"), 400],
  ["Transfer-Encoding gzip, chunked", post("Transfer-Encoding: gzip, chunked\r\n"), 501],
  ["Transfer-Encoding ,chunked", post("Transfer-Encoding: ,chunked\r\n"), 501],
  ["Transfer-Encoding unknown", post("Transfer-Encoding: foo\r\n"), [400, 501]],
  ["Transfer-Encoding chunked, gzip", post("Transfer-Encoding: chunked, gzip\r\n"), [400, 501]],
  ["Transfer-Encoding twice", post("Transfer-Encoding: chunked\r\nTransfer-Encoding: chunked\r\n"), [400, 501]],
  ["Transfer-Encoding with an odd space", post("Transfer-Encoding: \xa0chunked\r\n"), [400, 501]],
  ["Transfer-Encoding in HTTP/1.0", "POST /p HTTP/1.0\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n", 400],
  ["a folded Transfer-Encoding", post("Transfer-Encoding:\r\n chunked\r\n", "0\r\n\r\n"), 400],
  ["a folded header", get("X: a\r\n b\r\n"), 400],
  ["chunk size 0x2", chunked("0x2\r\nhi\r\n0\r\n\r\n"), 400],
  ["chunk size with a space before", chunked(" 2\r\nhi\r\n0\r\n\r\n"), 400],
  ["chunk size with a space behind", chunked("2 \r\nhi\r\n0\r\n\r\n"), 400],
  ["chunk with a bare LF", chunked("2\nhi\n0\n\n"), 400],
  ["chunk with a bad end", chunked("2\r\nhiX\r\n0\r\n\r\n"), 400],
  ["chunk size beyond 2^64", chunked("10000000000000002\r\nhi\r\n0\r\n\r\n"), 400],
  ["chunk extension of 64 KiB", chunked(`2;${"x".repeat(65_536)}\r\nhi\r\n0\r\n\r\n`), 400],
  ["bare LF lines", "GET /p HTTP/1.1\nHost: a\n\n", 400],
  ["a bare LF in a header", get("X: a\nY: b\r\n"), 400],
  ["a bare CR in a value", get("X: b\rX-B: c\r\n"), 400],
  ["NUL in a value", get("X: a\0b\r\n"), 400],
  ["a header without a colon", get("X\r\n"), 400],
  ["an empty name", get(": x\r\n"), 400],
  ["a space before the first header", "GET /p HTTP/1.1\r\n Host: a\r\n\r\n", 400],
  ["a name that is not ASCII", get("X\xe9: 1\r\n"), 400],
  ["no Host", "GET /p HTTP/1.1\r\n\r\n", 400],
  ["two Hosts", get("Host: b\r\n"), 400],
  ["Host that is a URL", "GET /p HTTP/1.1\r\nHost: a b/c?@\r\n\r\n", 400],
  ["Host with a user", "GET /p HTTP/1.1\r\nHost: u@evil\r\n\r\n", 400],
  ["an empty Host", "GET /p HTTP/1.1\r\nHost:\r\n\r\n", 400],
  ["a fragment in the target", get("", "/p#f"), 400],
  ["a space in the target", get("", "/p q"), 400],
  ["a target that is not ASCII", get("", "/p\xe9"), 400],
  ["%00 in the path", get("", "/p%00q"), 400],
  ["no version", "GET /p\r\nHost: a\r\n\r\n", 400],
  ["HTTP/2.0 in the request line", "GET /p HTTP/2.0\r\nHost: a\r\n\r\n", [400, 505]],
  ["HTTP/1.32", "GET /p HTTP/1.32\r\nHost: a\r\n\r\n", 400],
  ["HTTP/1.0", "GET /p HTTP/1.0\r\nHost: a\r\n\r\n", 426],
  ["an unknown method", "FOO /p HTTP/1.1\r\nHost: a\r\n\r\n", 400],
  ["a method in lower case", "get /p HTTP/1.1\r\nHost: a\r\n\r\n", 400],
  ["CONNECT", "CONNECT a:80 HTTP/1.1\r\nHost: a:80\r\n\r\n", 405],
  ["TRACE", "TRACE /p HTTP/1.1\r\nHost: a\r\n\r\n", 405],
  ["Connection nominates X-Forwarded-For", get("Connection: X-Secret, X-Forwarded-For\r\n"), 400],
  ["Connection nominates Host", get("Connection: host\r\n"), 400],
  ["an Expect that is not known", post("Expect: 200-maybe\r\nContent-Length: 2\r\n", "hi"), 417],
  ["a head of 70 KB", get(`X: ${"a".repeat(70_000)}\r\n`), 431],
  ["200 headers", get(Array.from({ length: 200 }, (_, index) => `x${index}: 1\r\n`).join("")), 431],
  ["the first bytes of TLS", "\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03", 400],
  ["the preface of HTTP/2 with another end", "PRI * HTTP/2.0\r\n\r\nXX\r\n\r\n", 400],
];

/** What is served: where most attacks begin. */
const served: readonly string[] = [
  get(),
  get("Content-Length: 0\r\n"),
  get("Connection: keep-alive, X-A\r\nX-A: 1\r\n"),
  get("", "http://a/p?q=1"),
  post("Content-Length: 5\r\n", "hello"),
  post("Content-Length: 005\r\nX-Long: aaaa\r\n", "hello"),
  post("Expect: 100-continue\r\nContent-Length: 2\r\n", "hi"),
  chunked("5\r\nhello\r\n0\r\n\r\n"),
  chunked("5;a=b\r\nhello\r\n1\r\nx\r\n0\r\nX-Trailer: 1\r\n\r\n"),
  post("Transfer-Encoding: Chunked\r\n", "2\r\nhi\r\n0\r\n\r\n"),
  `${post("Content-Length: 35\r\n", "GET /smuggled HTTP/1.1\r\nHost: b\r\n\r\n")}${get()}`,
  `${chunked("23\r\nGET /smuggled HTTP/1.1\r\nHost: b\r\n\r\n\r\n0\r\n\r\n")}${get()}`,
  "OPTIONS * HTTP/1.1\r\nHost: a\r\n\r\n",
  get("Upgrade: websocket\r\nConnection: Upgrade\r\nSec-WebSocket-Key: AAAAAAAAAAAAAAAAAAAAAA==\r\nSec-WebSocket-Version: 13\r\n"),
];

/** Lines that say where a request ends, each as some client has written it. */
const lines: readonly string[] = [
  ...["0", "1", "5", "44", "+5", "-0", "05", "0x5", "5 ", "5,5", "5, 6", " 5", "\t5", "5\x0b", "1e1", "5_0", ""].map(
    (length) => `Content-Length: ${length}`,
  ),
  ...[
    "chunked",
    "CHUNKED",
    "chunked ",
    "\x0bchunked",
    "xchunked",
    "chunked, identity",
    "identity, chunked",
    "chunked;q=1",
    '"chunked"',
    "",
  ].map((coding) => `Transfer-Encoding: ${coding}`),
  ...["Content-Length : 5", "Content-Length\t: 5", "Content_Length: 5", "Content-Length:5", "Content-Length;: 5", "\x00Content-Length: 5"],
  ...[
    "Transfer-Encoding : chunked",
    "Transfer_Encoding: chunked",
    "Transfer-Encoding:chunked",
    "Transfer-Encoding\r\n : chunked",
    " Transfer-Encoding: chunked",
  ],
  ...["X: y\nTransfer-Encoding: chunked", "X: y\rContent-Length: 5", "X: y\0", "TE: trailers, chunked", "Trailer: Content-Length"],
  ...[
    "Connection: close",
    "Connection: Content-Length",
    "Connection: Transfer-Encoding",
    "Host: b",
    "Expect: 100-continue",
    "Upgrade: h2c",
  ],
];

/** What parsers disagree about elsewhere. */
const tokens: readonly string[] = [
  ...[
    "\r\n",
    "\n",
    "\r",
    "\r\n\r\n",
    "\n\n",
    "\r\n ",
    "\r\n\t",
    "\0",
    "\t",
    " ",
    "\x0b",
    "\x0c",
    "\x85",
    "\xa0",
    "\xff",
    ";",
    ",",
    ":",
    '"',
  ],
  ...["0\r\n\r\n", "0\r\n", "5\r\n", "ffffffffffffffff\r\n", "0x5\r\n", "+5", "-0", "00", "5;x=\n", "2;\r\n", "_5"],
  ...["HTTP/1.0", "HTTP/0.9", "HTTP/2.0", "GET ", "GET http://b/x HTTP/1.1\r\n", "PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n"],
  "GET /smuggled HTTP/1.1\r\nHost: b\r\n\r\n",
  "POST /smuggled HTTP/1.1\r\nHost: b\r\nContent-Length: 100\r\n\r\n",
  "1e\r\nGET /smuggled HTTP/1.1\r\nX: y\r\n0\r\n\r\n",
];

type Bend = (text: string, at: number) => string;

const line = fc.constantFrom(...lines).map(
  (added): Bend =>
    (text, at) => {
      const start = text.indexOf("\r\n", at) + 2;
      return start < 2 ? text : `${text.slice(0, start)}${added}\r\n${text.slice(start)}`;
    },
);
const insertion = fc.constantFrom(...tokens).map(
  (token): Bend =>
    (text, at) =>
      text.slice(0, at) + token + text.slice(at),
);
const replacement = fc.tuple(fc.constantFrom(...tokens), fc.nat(12)).map(
  ([token, length]): Bend =>
    (text, at) =>
      text.slice(0, at) + token + text.slice(at + length),
);
const removal = fc.integer({ min: 1, max: 12 }).map(
  (length): Bend =>
    (text, at) =>
      text.slice(0, at) + text.slice(at + length),
);
const anotherByte = fc.nat(255).map(
  (byte): Bend =>
    (text, at) =>
      text.slice(0, at) + String.fromCharCode(byte) + text.slice(at + 1),
);
const otherCase = fc.constant<Bend>((text, at) => {
  const letter = text[at] ?? "";
  const other = letter === letter.toUpperCase() ? letter.toLowerCase() : letter.toUpperCase();
  return text.slice(0, at) + other + text.slice(at + 1);
});
const lineTwice = fc.constant<Bend>((text, at) => {
  const start = text.lastIndexOf("\r\n", at) + 2;
  const end = text.indexOf("\r\n", at);
  return start < 2 || end < start ? text : `${text.slice(0, end + 2)}${text.slice(start, end + 2)}${text.slice(end + 2)}`;
});
const cut = fc.constant<Bend>((text, at) => text.slice(0, at));
const joined = fc.constantFrom(...served).map(
  (other): Bend =>
    (text, at) =>
      text.slice(0, at) + other,
);

/** Anywhere in the text, or (two times of three) where its structure is: at the ends of lines, and around colons. */
function placeIn(text: string, number: number): number {
  const place = Math.floor(number / 3);
  if (number % 3 === 0) return place % (text.length + 1);
  const structural = [...text.matchAll(/(?=\r\n)|(?<=\r\n)|(?<=:)|(?<=: )|(?=:)/g)].map(({ index }) => index);
  return structural[place % structural.length] ?? 0;
}

/** Bytes to send on one connection, as latin1: one request or several, bent in three places at most. */
export const mutatedRequests: fc.Arbitrary<string> = fc
  .tuple(
    fc.oneof(
      { weight: 3, arbitrary: fc.constantFrom(...served) },
      { weight: 2, arbitrary: fc.constantFrom(...refused.map(([, bytes]) => bytes).filter((bytes) => bytes.length < 4_000)) },
    ),
    fc.array(
      fc.tuple(
        fc.oneof(
          { weight: 8, arbitrary: line },
          { weight: 4, arbitrary: insertion },
          { weight: 2, arbitrary: replacement },
          { weight: 2, arbitrary: removal },
          { weight: 2, arbitrary: anotherByte },
          { weight: 1, arbitrary: otherCase },
          { weight: 2, arbitrary: lineTwice },
          { weight: 1, arbitrary: cut },
          { weight: 1, arbitrary: joined },
        ),
        fc.nat(100_000),
      ),
      { maxLength: 3 },
    ),
  )
  .map(([seed, bends]) => bends.reduce((text, [bend, number]) => bend(text, placeIn(text, number)), seed));
