// One number that was measured, with the goal it is held to.

export interface BenchRow {
  readonly area: string;
  readonly what: string;
  readonly value: number;
  readonly unit: string;
  /** At most this (or at least, for requests per second). */
  readonly goal?: number;
  /** What else was seen: spread, peer. */
  readonly note?: string;
}

export function isMet({ value, goal, unit }: BenchRow): boolean | undefined {
  if (goal === undefined) return undefined;
  return unit.endsWith("/s") ? value >= goal : value <= goal;
}

export function median(values: readonly number[]): number {
  const sorted = [...values].sort((a, b) => a - b);
  return sorted[sorted.length >> 1] ?? Number.NaN;
}

/** The fastest and the slowest tenth: how far a busy machine spread the numbers. */
export function spread(values: readonly number[], digits = 1): string {
  const sorted = [...values].sort((a, b) => a - b);
  const at = (part: number) => (sorted[Math.min(sorted.length - 1, Math.floor(sorted.length * part))] ?? Number.NaN).toFixed(digits);
  return `p10 ${at(0.1)} p90 ${at(0.9)}`;
}
