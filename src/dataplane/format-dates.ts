// Times of access logs: the strftime formats of `%START_TIME(…)%`.

const two = (value: number) => String(value).padStart(2, "0");

const dateParts: Readonly<Record<string, (date: Date) => string>> = {
  Y: (d) => String(d.getUTCFullYear()),
  m: (d) => two(d.getUTCMonth() + 1),
  d: (d) => two(d.getUTCDate()),
  H: (d) => two(d.getUTCHours()),
  M: (d) => two(d.getUTCMinutes()),
  S: (d) => two(d.getUTCSeconds()),
  F: (d) => d.toISOString().slice(0, 10),
  T: (d) => d.toISOString().slice(11, 19),
  s: (d) => String(Math.floor(d.getTime() / 1000)),
  f: (d) => `${String(d.getUTCMilliseconds()).padStart(3, "0")}000000`,
  "%": () => "%",
};

/** A strftime format in UTC; undefined when it holds a conversion that is not known. */
export function dateFormat(format: string): ((date: Date) => string) | undefined {
  const parts = format.match(/%E?\d?[a-zA-Z%]|[^%]+|%/g) ?? [];
  const writers = parts.map((part): ((date: Date) => string) | undefined => {
    if (!part.startsWith("%")) return () => part;
    const fraction = /^%(\d)f$/.exec(part);
    if (fraction) return (date) => (dateParts.f as (date: Date) => string)(date).slice(0, Number(fraction[1]));
    const seconds = /^%E(\d)S$/.exec(part);
    if (seconds)
      return (date) =>
        `${two(date.getUTCSeconds())}.${String(date.getUTCMilliseconds()).padStart(3, "0").padEnd(9, "0").slice(0, Number(seconds[1]))}`;
    const letter = part.slice(1);
    return Object.hasOwn(dateParts, letter) ? dateParts[letter] : undefined;
  });
  if (writers.includes(undefined)) return undefined;
  return (date) => writers.map((write) => (write as (date: Date) => string)(date)).join("");
}
