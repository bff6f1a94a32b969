// A filter puts a question to a service, once for each request, and goes on, or not, as the answer says.

import type { Exchange } from "../exchange/exchange.ts";
import type { Verdict } from "./http-filter.ts";

export class Question<Answer> {
  #asking: { cancel(): void } | undefined;

  /**
   * The answer may be there at once (nobody can be asked): then what `decide` makes of it is the verdict. Otherwise the exchange waits and is resumed.
   * @param ask asks once and is answered once
   */
  put(
    exchange: Exchange,
    resume: () => void,
    ask: (onAnswer: (answer: Answer) => void) => { cancel(): void } | undefined,
    decide: (answer: Answer) => Verdict,
  ): Verdict {
    let verdict: Verdict | undefined;
    let isWaiting = false;
    const asking = ask((answer) => {
      this.#asking = undefined;
      verdict = exchange.isDone || exchange.headSent ? "answered" : decide(answer);
      if (isWaiting && verdict === "next") resume();
    });
    if (verdict === undefined) this.#asking = asking;
    isWaiting = true;
    return verdict ?? "wait";
  }

  cancel(): void {
    this.#asking?.cancel();
  }
}
