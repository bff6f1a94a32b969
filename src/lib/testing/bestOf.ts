// Measuring what is promised to be quick, on a machine that also does other things: what holds once in a few tries is the program's own pace.

/** The least that `measure` returns; tries again, up to so many times, only while it is not below `enough`. */
export async function bestOf(tries: number, enough: number, measure: (round: number) => Promise<number>): Promise<number> {
  let best = Number.POSITIVE_INFINITY;
  for (let round = 0; round < tries && best >= enough; round++) best = Math.min(best, await measure(round));
  return best;
}
