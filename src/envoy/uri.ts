// Addresses that Envoy's filter for tokens fetches keys from. It refuses a whole route configuration for one that it cannot take apart.

const uri = /^https?:\/\/(?:[\w.:%-]*@)?(?:\[[\da-f:.]+\]|[\da-z.-]+)(?::\d{1,5})?(?:[/?#][\x21-\x7e]*)?$/i;

/** Why Envoy would refuse it; undefined where it takes it. */
export function uriFault(text: string): string | undefined {
  if (text === "") return "no url is written";
  return uri.test(text) && URL.canParse(text) ? undefined : `${JSON.stringify(text)} is no URL that Envoy takes`;
}

export const uriHint =
  "write where the keys are, as in https://issuer.example.com/jwks.json: with the scheme, and a host of letters, digits, dots and hyphens";
