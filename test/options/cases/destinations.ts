// Destinations that Envoy would refuse cost their route, and nothing else.
import { equal } from "node:assert/strict";
import { type OptionCase, object, shared } from "../option-case.ts";

const good = { weight: 1, destination: { upstream: { name: "echo", namespace: shared } } };
const typeless = { weight: 1, destination: {} };

export const destinations: readonly OptionCase[] = [
  bad("a weighted destination without type", /no destination type specified/, { multi: { destinations: [good, typeless] } }),
  bad("a weighted destination without destination", /no destination type specified/, { multi: { destinations: [good, { weight: 1 }] } }),
  bad("weights that sum to nothing", /total weight/, { multi: { destinations: [{ ...good, weight: 0 }] } }),
  bad("weights that sum to more than Envoy takes", /the weights sum to 4294967296/, {
    multi: { destinations: [{ ...good, weight: 4294967295 }, good] },
  }),
  bad("no weighted destinations", /at least one weighted destination/, { multi: { destinations: [] } }),
  bad("a single destination without type", /no destination type specified/, { single: {} }),
  bad("no destination", /no destination/, {}),
  bad("clusterHeader without name", /invalid HTTP header name/, { clusterHeader: "" }),
  bad(
    "a group with a destination without type",
    /no destination type specified/,
    ({ name }) => ({ upstreamGroup: { name, namespace: name } }),
    [good, typeless],
  ),
  bad("a group whose weights sum to nothing", /total weight/, ({ name }) => ({ upstreamGroup: { name, namespace: name } }), [
    { ...good, weight: 0 },
  ]),
  bad("a group that is not there", /not found/, ({ name }) => ({ upstreamGroup: { name, namespace: name } })),
];

type Action = object | ((place: { readonly name: string }) => object);

function bad(what: string, says: RegExp, action: Action, group?: readonly object[]): OptionCase {
  return {
    fact: `${what}: the route answers 404, the one beside it is served`,
    options: [],
    says,
    given: (place) => ({
      routes: [
        { matchers: [{ prefix: "/bad" }], routeAction: typeof action === "function" ? action(place) : action },
        { matchers: [{ prefix: "/" }], routeAction: { single: { upstream: { name: "echo", namespace: shared } } } },
      ],
      objects: group ? [object("UpstreamGroup", place.name, place.name, { destinations: group })] : [],
    }),
    async observe({ ask }) {
      equal((await ask("/bad")).status, 404);
      equal((await ask("/good")).status, 200);
    },
  };
}
