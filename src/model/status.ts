// What is said about a resource, in Gloo's form. Clients only read it.

/** Gloo's states, in order of severity. */
export const states = ["Pending", "Accepted", "Warning", "Rejected"] as const;

export type State = (typeof states)[number];

export interface Status {
  readonly state: State;
  /** Gloo's texts, joined as Gloo joins them; empty when all is well. */
  readonly reason: string;
  readonly reportedBy: string;
  /** By `*v1.Proxy.<proxy>_<namespace>`; only proxies that this resource takes part in. */
  readonly subresourceStatuses: Readonly<Record<string, Omit<Status, "subresourceStatuses">>>;
}

/** The worst of several states; Accepted when there are none. */
export function worstState(all: Iterable<State>): State {
  let worst: State = "Accepted";
  for (const state of all) if (states.indexOf(state) > states.indexOf(worst)) worst = state;
  return worst;
}
