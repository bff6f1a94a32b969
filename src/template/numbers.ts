// Floats as Gloo's filter writes them: the fewest digits that give the same number back, always with a fraction or an exponent.

export function formatFloat(value: number): string {
  if (!Number.isFinite(value)) return "null";
  if (value === 0) return Object.is(value, -0) ? "-0.0" : "0.0";
  const size = Math.abs(value);
  if (size >= 0.001 && size < 1e13) {
    const text = String(value);
    if (text.length <= 15) return text.includes(".") ? text : `${text}.0`;
  }
  const sign = value < 0 ? "-" : "";
  const [digits, exponent] = shortest(size);
  // Where the point stands, counted from the first digit.
  const point = exponent + 1;
  if (digits.length <= point && point <= 15) return `${sign}${digits.padEnd(point, "0")}.0`;
  if (point > 0 && point <= 15) return `${sign}${digits.slice(0, point)}.${digits.slice(point)}`;
  if (point > -4 && point <= 0) return `${sign}0.${"0".repeat(-point)}${digits}`;
  const fraction = digits.length > 1 ? `.${digits.slice(1)}` : "";
  return `${sign}${digits[0]}${fraction}e${exponent < 0 ? "-" : "+"}${String(Math.abs(exponent)).padStart(2, "0")}`;
}

/** 15 digits, or 16, or 17: what Lua can do as well. */
function shortest(value: number): [digits: string, exponent: number] {
  for (let precision = 14; ; precision++) {
    const text = value.toExponential(precision);
    if (precision < 16 && Number(text) !== value) continue;
    const [mantissa = "", exponent = ""] = text.split("e");
    return [mantissa.replace(".", "").replace(/0+$/, ""), Number(exponent)];
  }
}

/** The same on every machine and in Lua, unlike the power of a mathematics library. */
export function power(base: number, exponent: number): number {
  let result = 1;
  let square = base;
  for (let rest = Math.abs(exponent); rest > 0; rest = Math.floor(rest / 2)) {
    if (rest % 2 === 1) result *= square;
    square *= square;
  }
  return exponent < 0 ? 1 / result : result;
}

/** Half goes away from zero. */
export function rounded(value: number, places: number): number {
  const scale = power(10, places);
  const scaled = value * scale;
  const whole = Math.trunc(scaled);
  const nearest = Math.abs(scaled - whole) >= 0.5 ? whole + Math.sign(scaled) : whole;
  return nearest / scale;
}
