// Headers as a flat list: name, value, name, value. Names in lower case, values as latin1 text, in the order of the wire.
// A list is what a message is on the wire, and scanning a dozen entries beats building an object for each message.

export type Headers = string[];

/** All values of a header joined by a comma, as Envoy sees it; undefined when it is absent. */
export function headerValue(headers: Headers, name: string): string | undefined {
  let value: string | undefined;
  for (let i = 0; i < headers.length; i += 2) {
    if (headers[i] === name) value = value === undefined ? (headers[i + 1] as string) : `${value},${headers[i + 1]}`;
  }
  return value;
}

/** Of each line with the name. */
export function headerValues(headers: Headers, name: string): string[] {
  const values: string[] = [];
  for (let i = 0; i < headers.length; i += 2) if (headers[i] === name) values.push(headers[i + 1] as string);
  return values;
}

export function hasHeader(headers: Headers, name: string): boolean {
  for (let i = 0; i < headers.length; i += 2) if (headers[i] === name) return true;
  return false;
}

/** Removes every occurrence. */
export function removeHeader(headers: Headers, name: string): void {
  for (let i = 0; i < headers.length; ) {
    if (headers[i] === name) headers.splice(i, 2);
    else i += 2;
  }
}

/** Makes this the only value: the first occurrence keeps its place. */
export function setHeader(headers: Headers, name: string, value: string): void {
  for (let i = 0; i < headers.length; i += 2) {
    if (headers[i] !== name) continue;
    headers[i + 1] = value;
    for (let j = i + 2; j < headers.length; ) {
      if (headers[j] === name) headers.splice(j, 2);
      else j += 2;
    }
    return;
  }
  headers.push(name, value);
}
