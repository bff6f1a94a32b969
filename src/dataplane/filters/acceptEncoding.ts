// Which encoding a client gets: its best of those that are offered, read from Accept-Encoding as Envoy reads it.

export interface Offer {
  readonly encoding: string;
  /** Comes before others that the client likes as much. */
  readonly isFirst: boolean;
}

/** `identity` where none fits. */
export function chooseEncoding<O extends Offer>(accepted: string, offers: readonly O[]): string {
  const offered = new Map<string, O>();
  for (const offer of offers) if (!offered.has(offer.encoding)) offered.set(offer.encoding, offer);
  const wishes = wishesOf(accepted);
  for (const { name, weight } of wishes) if (weight === 0) offered.delete(name);
  if (offered.size === 0) return "identity";
  let best = { name: "identity", weight: 0 };
  for (const wish of wishes) {
    if (!offered.has(wish.name) && wish.name !== "identity" && wish.name !== "*") continue;
    if (wish.weight > best.weight || (wish.weight === best.weight && offered.get(wish.name)?.isFirst)) best = wish;
  }
  if (best.weight === 0) return "identity";
  if (best.name !== "*") return best.name;
  return offered.keys().next().value ?? "identity";
}

interface Wish {
  readonly name: string;
  readonly weight: number;
}

function wishesOf(accepted: string): Wish[] {
  const wishes: Wish[] = [];
  for (const token of accepted.split(",")) {
    if (token === "") continue;
    const [name = "", ...parameters] = token.split(";");
    const [key = "", ...values] = parameters.join(";").split("=");
    let weight = 1;
    if (values.length > 0 && key.trim().toLowerCase() === "q") {
      const text = values.join("=").trim();
      weight = text === "" ? Number.NaN : Number(text);
      // One that is no number is no wish.
      if (Number.isNaN(weight)) continue;
    }
    wishes.push({ name: name.trim(), weight });
  }
  return wishes;
}
