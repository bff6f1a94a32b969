// Make before break. A route must not point at a cluster that the client cannot use yet, and a cluster must not go while a route
// points at it. So clusters and their endpoints go out first, listeners wait until both are acknowledged, routes until listeners
// are; and what is gone goes last, listeners whose place others take before the clusters that only those used. Types that take no part (secrets, runtime) are sent as they come.
//
// Endpoints follow clusters at once: Envoy acknowledges clusters only when all of them are warm, and for that it must have been
// given their endpoints. Waiting between the two would be waiting for each other. (Seen with Envoy 1.40: its cluster manager pauses
// CDS while clusters warm. It also means that the acknowledgement stands for resolved names and a first round of health checks.)
//
// A client that does not answer holds up its own later types only for a while (`isOverdue`): it may be one that never will.
//
// Clusters that take long to warm (a health check of a host that is silent takes its whole timeout) hold up less, and sooner: after a
// moment (`isSlow`) what is nothing to them goes ahead of them. A route to a cluster that is still warming would be a 503, so it waits;
// that a listener goes before routes stays, since it may bring the filter that protects them; and nothing is taken away meanwhile.
import { typeUrls } from "../model/envoy-resource.ts";
import type { Phase } from "./subscription.ts";

/** A subscription as the order sees it. */
export interface Turn {
  readonly typeUrl: string;
  /** A response may be sent now. */
  isFree(): boolean;
  /** The client is waited for. */
  isAwaited(): boolean;
  /** …and that is no longer because the answer is on its way. */
  isSlow(): boolean;
  /** …and has been for too long. */
  isOverdue(): boolean;
  hasWork(phase: Phase): boolean;
  /** Something stays for a moment though it is gone from the configuration, and what it uses with it. */
  isLingering(): boolean;
  /** There is something to make that needs none of the clusters that are awaited. */
  hasWorkAhead(): boolean;
}

/** Whose turn it is. `isAhead`: only for what needs none of the clusters that are awaited. */
export interface Next<T> {
  readonly turn: T;
  readonly phase: Phase;
  readonly isAhead: boolean;
}

/** Each waits for all before it. */
const makeOrder: readonly (readonly string[])[] = [[typeUrls.cluster, typeUrls.endpoint], [typeUrls.listener], [typeUrls.route]];
const breakOrder: readonly (readonly string[])[] = [[typeUrls.listener], [typeUrls.cluster], [typeUrls.endpoint]];
const ordered: ReadonlySet<string> = new Set(makeOrder.flat());

/**
 * Which subscriptions of a client may send, and what. Lazy: the caller sends before it asks for the next, so each step sees what
 * the one before has done. `owed` are endpoints that the client has not even asked for yet, of clusters it has just been sent.
 */
export function* turns<T extends Turn>(all: Iterable<T>, owesEndpoints: () => boolean): Generator<Next<T>> {
  const byType = Map.groupBy(all, ({ typeUrl }) => typeUrl);
  const of = (types: readonly string[]) => types.flatMap((typeUrl) => byType.get(typeUrl) ?? []);
  yield* step(of([...byType.keys()].filter((typeUrl) => !ordered.has(typeUrl))), "make");
  let isAhead = false;
  for (const types of makeOrder) {
    const group = of(types);
    yield* step(group, "make", isAhead);
    if (types.includes(typeUrls.endpoint) && owesEndpoints()) return;
    const holding = group.filter((turn) => isHolding(turn, "make"));
    if (holding.length === 0) continue;
    if (!holding.every((turn) => turn.typeUrl === typeUrls.cluster && turn.isSlow())) return;
    isAhead = true;
  }
  if (isAhead) return;
  for (const types of breakOrder) {
    const group = of(types);
    yield* step(group, "break");
    if (group.some((turn) => isHolding(turn, "break"))) return;
  }
}

function* step<T extends Turn>(group: readonly T[], phase: Phase, isAhead = false): Generator<Next<T>> {
  for (const turn of group) {
    if (turn.isFree() && (isAhead ? turn.hasWorkAhead() : turn.hasWork(phase))) yield { turn, phase, isAhead };
  }
}

function isHolding(turn: Turn, phase: Phase): boolean {
  const isToGo = phase === "break" && turn.isLingering();
  return (turn.isAwaited() || turn.hasWork(phase) || isToGo) && !turn.isOverdue();
}
