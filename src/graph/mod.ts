// The incremental graph: keyed values computed by pure functions from other keyed values. It remembers what each function read,
// and after a batch of edits runs again only those whose reads changed, each once, in the order of creation; an equal
// result stops the wave. What the values mean, where edits come from and when batches start is left to others.
//
//   const graph = new Graph();
//   const upstreams = graph.input<Upstream>("upstreams");
//   const secrets = graph.input<Secret>("secrets");
//   const clusters = graph.derive("clusters", upstreams, (upstream, key, read) => cluster(upstream, read.get(secrets, upstream.secret)));
//   graph.observe(clusters, (changes) => { for (const [key, { before, after }] of changes) … });
//   graph.batch(() => upstreams.set("default/petstore", upstream));
//
// The law: after any batches, every collection equals what a new graph with the same inputs would hold. It holds as long as
// functions are pure, read only through `read`, and nobody writes to values.
export type { BatchResult, Change, Changes, Failure } from "./batch.ts";
export type { Collection, CollectionOptions, Observer } from "./collection.ts";
export type { Derive } from "./derive.ts";
export type { DeriveGroup } from "./derive-groups.ts";
export type { DeriveMany } from "./derive-many.ts";
export type { DeriveOptions } from "./derived.ts";
export type { Explanation, ReadOf, RunExplanation } from "./explain.ts";
export { Graph } from "./graph.ts";
export type { Input } from "./input.ts";
export type { Index } from "./lookup.ts";
export { GraphMisuse } from "./misuse.ts";
export type { Read } from "./read.ts";
export type { Single } from "./single.ts";
export type { Entry } from "./sorted.ts";
