// Text of configuration (Unicode) as text of the wire (one character a byte).

/** UTF-8 bytes of a string as latin1 text: what is compared with and written into messages. */
export function wireText(text: string): string {
  return isAscii(text) ? text : Buffer.from(text, "utf8").toString("latin1");
}

/** The Unicode text of latin1 wire text; regular expressions see code points, as RE2 does in Envoy. */
export function unicodeText(wire: string): string {
  return isAscii(wire) ? wire : Buffer.from(wire, "latin1").toString("utf8");
}

// biome-ignore lint/suspicious/noControlCharactersInRegex: the range of ASCII starts at NUL
const ascii = /^[\x00-\x7f]*$/;

function isAscii(text: string): boolean {
  return ascii.test(text);
}

/** Whether a text of configuration could break a message apart when it is written into it. */
export function breaksLines(text: string): boolean {
  // biome-ignore lint/suspicious/noControlCharactersInRegex: that is what is looked for
  return /[\x00-\x08\x0a-\x1f\x7f]/.test(text);
}
