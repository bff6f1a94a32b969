// A document to resources: finds the kind, the name and the content of each object in it, and decodes. What is wrong with an
// object travels with the object; what cannot be given to one (a document without a name) is returned beside.
//
// Where the namespace is not written: `default` for a Kubernetes object, as kubectl would; for an object of Gloo's file mode the
// folder's (`upstreams/<namespace>/x.yaml`), else `gloo-system`, where Gloo keeps its own.
import type { Registry } from "@bufbuild/protobuf";
import { catalog } from "../model/catalog.ts";
import { type Place, type Problem, problem, type Severity } from "../model/problem.ts";
import { type ResourceKey, resourceKey } from "../model/ref.ts";
import { type ApiKind, type Kind, kinds, type Origin, type Resource } from "../model/resource.ts";
import { type CustomPart, takeCustomPart } from "./custom-upstream.ts";
import { decodeMessage } from "./decode.ts";
import { describe } from "./describe.ts";
import { guessKind } from "./guess-kind.ts";
import { readConfigMap, readKubeObject, readSecret } from "./kube-objects.ts";
import { type Metadata, nameMistake, namespaceMistake, readMetadata } from "./metadata.ts";
import { kindOf } from "./object-kind.ts";
import { contentOf, isStatusKey, type ObjectNode, objectsOf, textOf } from "./object-node.ts";
import { Reader } from "./reader.ts";
import { convertOldShape } from "./shape-of-2019.ts";
import type { Finding, YamlDocument } from "./yaml.ts";
import { entryOf, type Span, type YamlNode } from "./yaml-node.ts";

/** What a file's place says about the object in it. */
export interface Layout {
  readonly kind?: ApiKind;
  readonly namespace?: string;
  readonly name?: string;
}

export interface ReadContext {
  readonly origin: Origin;
  readonly layout?: Layout;
  /** For messages in a `google.protobuf.Any`. */
  readonly types: Registry;
  /** Fields of Upstreams that belong to types of the user. */
  readonly customKinds?: readonly string[];
  /** How bad a field is that nothing knows; an error unless given. */
  readonly unknownFields?: Severity;
  readonly locate: (span: Span) => Place | undefined;
  /** Hash of what stands in the text there, without the parts given. */
  readonly versionOf: (node: YamlNode, without: readonly Span[]) => string;
}

export interface ReadResult {
  readonly resources: readonly Resource[];
  /** What belongs to no resource. */
  readonly problems: readonly Problem[];
}

const empty: ReadResult = { resources: [], problems: [] };

export function readDocument(document: YamlDocument, context: ReadContext): ReadResult {
  const { root, findings } = document;
  if (root === undefined || isEmpty(root)) return { resources: [], problems: findings.map((each) => findingProblem(each, context)) };
  const objects = objectsOf(root);
  if (objects.length === 0) return notAResource(root, context);
  const resources: Resource[] = [];
  const problems: Problem[] = [];
  for (const object of objects) {
    const own =
      objects.length === 1 ? findings : findings.filter((each) => each.start >= object.node.start && each.start < object.node.end);
    const result = readObject(object, own, context);
    resources.push(...result.resources);
    problems.push(...result.problems);
  }
  return { resources, problems };
}

function isEmpty(root: YamlNode): boolean {
  return root.kind === "scalar" && root.isPlain && root.text === "";
}

function notAResource(root: YamlNode, context: ReadContext): ReadResult {
  const at = context.locate(root);
  const what = root.kind === "map" ? "has neither kind nor metadata" : `is ${describe(root)}`;
  const message = `this document ${what}, so it is not an object of the API`;
  return { resources: [], problems: [problem("warning", undefined, "NotAResource", message, at && { at })] };
}

function findingProblem(finding: Finding, context: ReadContext, resource?: ResourceKey): Problem {
  const at = context.locate(finding);
  return problem("error", resource, finding.reason, finding.message, {
    ...(at && { at }),
    ...(finding.hint !== undefined && { hint: finding.hint }),
  });
}

function readObject(object: ObjectNode, findings: readonly Finding[], context: ReadContext): ReadResult {
  if (object.envelope === "file") return readFileObject(object, findings, context);
  const { node } = object;
  const reader = new Reader(undefined, context.locate);
  const kind = textOf(node, "kind");
  const apiVersion = textOf(node, "apiVersion");
  if (kind === undefined || apiVersion === undefined) {
    if (kind === undefined && !entryOf(node, "metadata")) return notAResource(node, context);
    const missing = kind === undefined ? "kind" : "apiVersion";
    const guess = kind === undefined ? undefined : Object.hasOwn(kinds, kind) ? kinds[kind as ApiKind] : undefined;
    reader.error("MissingKind", `the object has no ${missing}`, node, guess && `add apiVersion: ${guess.group}/${guess.version}`);
    return { resources: [], problems: reader.problems };
  }
  const answer = kindOf(apiVersion, kind);
  const kindSpan = entryOf(node, "kind")!.value;
  switch (answer.is) {
    case "ignored":
      return empty;
    case "foreign":
      reader.warn("ForeignKind", `${kind} of ${apiVersion} is not read`, kindSpan);
      return { resources: [], problems: reader.problems };
    case "unknown":
      reader.error("UnknownKind", `there is no kind ${kind} in ${apiVersion}`, kindSpan, answer.hint);
      return { resources: [], problems: reader.problems };
    case "wrongVersion": {
      const span = entryOf(node, "apiVersion")!.value;
      reader.error(
        "WrongApiVersion",
        `${kind} is of ${answer.expected}, not of ${apiVersion}`,
        span,
        `write apiVersion: ${answer.expected}`,
      );
      return { resources: [], problems: reader.problems };
    }
    case "api":
    case "kube":
      return readNamed(object, answer.kind, answer.is, findings, context);
  }
}

function readFileObject(object: ObjectNode, findings: readonly Finding[], context: ReadContext): ReadResult {
  const kind = context.layout?.kind ?? guessKind(object.node);
  if (typeof kind === "string") return readNamed(object, kind, "api", findings, context);
  const reader = new Reader(undefined, context.locate);
  if (kind.candidates.length === 0 && !entryOf(object.node, "metadata")) {
    reader.warn(
      "NotAResource",
      "this document is not an object of the API: it has no kind, no metadata and none of its fields",
      object.node,
    );
  } else {
    const which = kind.candidates.length > 0 ? `it could be ${kind.candidates.join(", ")}` : "no kind has these fields";
    const hint = "add apiVersion and kind, or put it into a folder <plural>/<namespace>/, such as upstreams/gloo-system/";
    reader.error("MissingKind", `the object does not say its kind, and ${which}`, object.node, hint);
  }
  return { resources: [], problems: [...reader.problems, ...findings.map((each) => findingProblem(each, context))] };
}

type AnyKind = Kind | "ConfigMap";

function readNamed(object: ObjectNode, kind: AnyKind, is: "api" | "kube", findings: readonly Finding[], context: ReadContext): ReadResult {
  const { node, envelope } = object;
  const metadataEntry = entryOf(node, "metadata");
  // Reads twice when something is wrong, so that problems carry the key, which is only known afterwards.
  const named = identify(metadataEntry?.value, envelope, object, context);
  if ("problems" in named) return { resources: [], problems: named.problems };
  const ref = { namespace: isClusterScoped(kind) ? "" : named.namespace, name: named.name };
  const resultKind: Kind = kind === "ConfigMap" ? "Artifact" : kind;
  const key = resourceKey(resultKind, ref);
  const reader = new Reader(key, context.locate, context.unknownFields);
  const metadata = readMetadata(metadataEntry?.value, reader);
  for (const finding of findings) addFinding(reader, finding, object);
  const { spec, custom } =
    is === "kube"
      ? { spec: readKube(object, kind as "Secret", metadata, reader, context) }
      : readApi(object, kind as ApiKind, reader, context);
  if (spec === "skip") return empty;
  const statuses = node.entries.filter((entry) => isStatusKey(entry.key)).map((entry) => ({ start: entry.keyStart, end: entry.value.end }));
  const resource: Resource = {
    kind: resultKind,
    key,
    ref,
    labels: metadata.labels,
    annotations: metadata.annotations,
    spec: reader.hasErrors ? undefined : (spec as Resource["spec"]),
    ...(reader.hasErrors && !custom && { readable: spec as NonNullable<Resource["spec"]> }),
    ...(custom && !reader.hasErrors && { custom }),
    version: context.versionOf(node, statuses),
    problems: inOrder(withoutEchoes(reader.problems)),
    origin: context.origin,
    ...(metadata.createdAt !== undefined && { createdAt: metadata.createdAt }),
  };
  return { resources: [resource], problems: [] };
}

/** That `{{ }}` without quotes is not the text that is wanted follows from what is said of it already. */
function withoutEchoes(problems: readonly Problem[]): readonly Problem[] {
  const placeOf = ({ at }: Problem) => at && `${at.line}:${at.column}`;
  const maps = new Set(problems.filter(({ code }) => code === catalog.BadKey.code).map(placeOf));
  return maps.size === 0 ? problems : problems.filter((each) => each.code !== catalog.WrongType.code || !maps.has(placeOf(each)));
}

/** As they stand in the text. */
function inOrder(problems: readonly Problem[]): readonly Problem[] {
  if (problems.length < 2) return problems;
  return problems.toSorted((a, b) => (a.at?.line ?? 0) - (b.at?.line ?? 0) || (a.at?.column ?? 0) - (b.at?.column ?? 0));
}

function isClusterScoped(kind: AnyKind): boolean {
  return kind === "Node" || kind === "Namespace";
}

interface Identity {
  readonly name: string;
  readonly namespace: string;
}

function identify(
  node: YamlNode | undefined,
  envelope: ObjectNode["envelope"],
  object: ObjectNode,
  context: ReadContext,
): Identity | { readonly problems: readonly Problem[] } {
  const layout = envelope === "file" ? context.layout : undefined;
  const name = textOf(node, "name") ?? layout?.name;
  const namespace = textOf(node, "namespace") ?? layout?.namespace ?? (envelope === "file" ? "gloo-system" : "default");
  const reader = new Reader(undefined, context.locate);
  reader.path.push("metadata");
  if (name === undefined) {
    reader.error("InvalidName", "the object has no name", entryOf(object.node, "metadata")?.value ?? object.node, "add metadata.name");
    return { problems: reader.problems };
  }
  const mistakes = [
    ["name", nameMistake(name)],
    ["namespace", namespaceMistake(namespace)],
  ] as const;
  for (const [field, mistake] of mistakes) {
    if (mistake === undefined) continue;
    reader.path.push(field);
    reader.error("InvalidName", mistake, entryOf(node, field)?.value ?? object.node);
    reader.path.pop();
  }
  return reader.hasErrors ? { problems: reader.problems } : { name, namespace };
}

function addFinding(reader: Reader, finding: Finding, object: ObjectNode): void {
  const content = contentOf(object);
  const isInside = content !== undefined && finding.start >= content.start && finding.start <= content.end;
  reader.path.push(...pathAt(isInside ? content : object.node, finding.start));
  reader.error(finding.reason, finding.message, finding, finding.hint);
  reader.path.length = 0;
}

/** The path of what stands at an offset. */
function pathAt(node: YamlNode, offset: number): (string | number)[] {
  if (node.kind === "map") {
    const entry = node.entries.find((each) => each.keyStart <= offset && offset < Math.max(each.value.end, each.keyEnd));
    return entry ? [entry.key, ...(offset < entry.keyEnd ? [] : pathAt(entry.value, offset))] : [];
  }
  if (node.kind === "list") {
    const index = node.items.findIndex((each) => each.start <= offset && offset < each.end);
    return index === -1 ? [] : [index, ...pathAt(node.items[index]!, offset)];
  }
  return [];
}

function readApi(
  object: ObjectNode,
  kind: ApiKind,
  reader: Reader,
  context: ReadContext,
): { readonly spec: unknown; readonly custom?: CustomPart } {
  if (object.envelope === "kubernetes") reportStrayKeys(object, kind, reader);
  const content = apiContent(object, kind, reader);
  const node = content ?? { kind: "map", entries: [], start: object.node.start, end: object.node.end };
  const { rest, ...custom } = takeCustomPart(node as YamlNode, (kind === "Upstream" && context.customKinds) || [], reader);
  return { spec: decodeMessage(kinds[kind].schema, rest, reader, { types: context.types }), ...custom };
}

/** The content of an object in today's shape, with the places it has in the text. */
export function apiContent(object: ObjectNode, kind: ApiKind, reader?: Reader): YamlNode | undefined {
  const content = contentOf(object);
  // RateLimitConfig is the one kind whose message has a `spec` of its own, so that file mode has one, too.
  const inner = kind === "RateLimitConfig" && object.envelope === "file" ? entryOf(content, "spec")?.value : content;
  return inner && convertOldShape(inner, kind, reader);
}

const envelopeKeys = new Set(["apiVersion", "kind", "metadata", "spec", "status"]);

function reportStrayKeys(object: ObjectNode, kind: ApiKind, reader: Reader): void {
  for (const entry of object.node.entries) {
    if (envelopeKeys.has(entry.key) || isStatusKey(entry.key)) continue;
    const isField = kinds[kind].schema.fields.some((field) => field.jsonName === entry.key || field.name === entry.key);
    reader.path.push(entry.key);
    const span = { start: entry.keyStart, end: entry.keyEnd };
    reader.unknownField(`unknown field "${entry.key}" beside kind and metadata`, span, isField ? "it belongs under spec" : undefined);
    reader.path.pop();
  }
}

function readKube(object: ObjectNode, kind: string, metadata: Metadata, reader: Reader, context: ReadContext): unknown {
  if (kind === "Secret") return readSecret(object.node, metadata, reader, context.types);
  if (kind === "ConfigMap") return readConfigMap(object.node, metadata, reader);
  return readKubeObject(object.node, reader);
}
