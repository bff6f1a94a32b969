// What follows when a batch has settled: consumers get what changed, and what was good is remembered.
import type { BatchResult } from "../graph/mod.ts";
import type { Memory } from "./memory.ts";
import type { Published, Publisher } from "./publisher.ts";

/**
 * What is remembered can change what is served (who had a domain first), which can change what is good. That ends by itself;
 * the limit guards against a pair of rules that never agree.
 */
const rounds = 8;

/** `result` undefined: the first time, everything is sent and remembered. */
export function carryOut(publisher: Publisher, memory: Memory, result: BatchResult | undefined): Published {
  const published = result === undefined ? publisher.publishAll() : publisher.publish(result);
  const sent = [...published.sent];
  let { upserts, removals, touchesListeners } = published;
  let learned = memory.learn(result);
  for (let round = 0; learned !== undefined && round < rounds; round++) {
    const more = publisher.publish(learned);
    for (const resource of more.sent) sent.push(resource);
    upserts += more.upserts;
    removals += more.removals;
    touchesListeners ||= more.touchesListeners;
    learned = memory.learn(learned);
  }
  return { sent, upserts, removals, touchesListeners };
}
