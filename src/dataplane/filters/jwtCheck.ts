// The tokens of a request, judged as Envoy does: all that are found where a provider looks must be good, the last one first. With a bad token beside
// a good one, whoever is behind might believe the bad one.

import type { Exchange } from "../exchange/exchange.ts";
import {
  applyToken,
  type Fault,
  type JwtProvider,
  missing,
  readToken,
  type Token,
  tellFault,
  tokensIn,
  unknownIssuer,
  verify,
} from "./jwtProvider.ts";

/** Of one provider. */
export async function checkTokens(exchange: Exchange, provider: JwtProvider, audiences: ReadonlySet<string>): Promise<Fault> {
  const tokens = tokensIn(exchange, provider).sort(byPlace);
  for (const token of tokens.reverse()) {
    const fault = await checkOne(exchange, token, provider, () => provider, audiences);
    if (fault !== undefined) return fault;
  }
  return tokens.length === 0 ? missing : undefined;
}

/** Of whichever provider they are: each is looked at, and what is wrong with the last that was looked at is told. */
export async function checkWhatIsThere(exchange: Exchange, providers: readonly JwtProvider[]): Promise<Fault> {
  const places = new Map<string, { readonly token: Token; readonly providers: JwtProvider[] }>();
  for (const provider of providers)
    for (const token of tokensIn(exchange, provider)) {
      const place = places.get(token.place);
      if (place === undefined) places.set(token.place, { token, providers: [provider] });
      else place.providers.push(provider);
    }
  let fault: Fault = missing;
  const only = providers.length === 1 ? providers[0] : undefined;
  for (const { token, providers: looking } of [...places.values()].sort((a, b) => byPlace(a.token, b.token)).reverse()) {
    const ofIssuer = (issuer: unknown) => {
      const isLookedFor = looking.some((each) => each.issuer === "" || each.issuer === issuer);
      return isLookedFor ? (providers.find((each) => each.issuer === issuer) ?? providers.find((each) => each.issuer === "")) : undefined;
    };
    fault = await checkOne(exchange, token, only, ofIssuer, undefined);
  }
  return fault;
}

/** @param known who is told of what is wrong before it is clear whose token it is */
async function checkOne(
  exchange: Exchange,
  token: Token,
  known: JwtProvider | undefined,
  ofIssuer: (issuer: unknown) => JwtProvider | undefined,
  audiences: ReadonlySet<string> | undefined,
): Promise<Fault> {
  const read = readToken(token.text);
  const provider = typeof read === "string" ? undefined : ofIssuer(read.payload.iss);
  let fault: Fault;
  if (typeof read === "string") fault = read;
  else if (provider === undefined) fault = unknownIssuer;
  else fault = await verify(exchange, provider, audiences ?? provider.audiences, token, read);
  if (exchange.isDone) return fault;
  if (fault !== undefined) {
    const told = provider ?? known;
    if (told !== undefined) tellFault(exchange, told, fault);
  } else applyToken(exchange, provider as JwtProvider, token, read as Exclude<typeof read, string>);
  return fault;
}

/** Headers, parameters, cookies; each by name. */
function byPlace(a: Token, b: Token): number {
  return a.place < b.place ? -1 : a.place > b.place ? 1 : 0;
}
