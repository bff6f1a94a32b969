// The subject alternative names of a certificate, out of the text in which Node tells them: `DNS:a, URI:"spiffe://a, DNS:b"`. A name that could be
// taken for several is in quotes there, as JSON (CVE-2021-44532): who splits at commas believes what the certificate does not say.

export interface AlternativeName {
  /** `DNS`, `URI`, `email`, `IP Address` … */
  readonly kind: string;
  readonly value: string;
}

const pattern = /([^:,"]+):("(?:[^"\\]|\\.)*"|[^,]*)(?:, |$)/gy;

export function alternativeNames(text: string | undefined): AlternativeName[] {
  const names: AlternativeName[] = [];
  for (const [, kind = "", value = ""] of (text ?? "").matchAll(pattern)) names.push({ kind, value: plain(value) });
  return names;
}

/** Whether one of a certificate's names, of whatever kind, is one that is asked for. */
export function hasName(text: string | undefined, wanted: readonly { test(name: string): boolean }[]): boolean {
  return alternativeNames(text).some(({ value }) => wanted.some((each) => each.test(value)));
}

function plain(value: string): string {
  if (!value.startsWith('"')) return value;
  try {
    return JSON.parse(value) as string;
  } catch {
    return value; // not quoted as it should be: then it is like no name that anybody asks for
  }
}
