// Programs of transformations, prepared once for all routes that have the same.

import { randomBytes } from "node:crypto";
import { type PreparedStage, prepareStage } from "../../template/stage.ts";

export interface Program {
  readonly stage: PreparedStage;
  /** The same for a pattern as long as the program lives, as in Gloo. */
  readonly random: (pattern: string) => string;
}

/** Two generations: what is used moves to the young one, and what was not used for a whole generation goes. */
let young = new Map<string, Program>();
let old = new Map<string, Program>();
let youngBytes = 0;
const generationBytes = 4_000_000;

/** Throws when it is no program. */
export function programOf(text: string): Program {
  const known = young.get(text);
  if (known !== undefined) return known;
  const program = old.get(text) ?? { stage: prepareStage(text), random: randoms() };
  if (youngBytes > generationBytes) {
    old = young;
    young = new Map();
    youngBytes = 0;
  }
  young.set(text, program);
  youngBytes += text.length;
  return program;
}

/** Patterns may come from messages: not more than these are remembered. */
const mostPatterns = 1_000;

function randoms(): Program["random"] {
  let made = new Map<string, string>();
  return (pattern) => {
    const known = made.get(pattern);
    if (known !== undefined) return known;
    if (made.size > mostPatterns) made = new Map();
    const value = randomBytes(16).toString("base64").replace(/=+$/, "");
    made.set(pattern, value);
    return value;
  };
}
