// Codes HW1xxx. See ../catalog.ts.
import type { CatalogEntry } from "../catalog.ts";

export const reading = {
  SyntaxError: {
    code: "HW1001",
    title: "the file is not YAML or JSON",
    help: "The text could not be read at this place, so nothing in this file is taken over: the objects that it held before stay in service as they were. The mistake is often a line earlier than the place named: a missing quote, a bracket left open, or an indentation that does not match its neighbours.",
  },
  DuplicateKey: {
    code: "HW1002",
    title: "a key is written twice",
    help: "A map holds the same key twice. Parsers disagree about which of the two counts, so neither is guessed at: the object is not taken over. Remove one of them. Where both hold lists, join them.",
  },
  UnknownField: {
    code: "HW1003",
    title: "unknown field",
    help: "The API has no field of this name at this place, so what stands below it would do nothing. The object keeps its last good version until this is mended; in a cluster, where API servers used to drop such fields, the rest of it is served. Usual causes: a typo, a field that belongs one level higher or lower, or an option of another product. `docs/reference/` lists the fields of every message.",
  },
  WrongType: {
    code: "HW1004",
    title: "a value of the wrong type",
    help: 'The field wants another type of value: text where a number stands, one value where a list is wanted, and so on. Text that looks like a number or a boolean needs quotes: `port: 8080` is a number, `version: "1.10"` is text.',
    cure: "write a value of that type",
  },
  UnknownEnumValue: {
    code: "HW1005",
    title: "not a value of this enum",
    help: "The field takes one of a fixed set of names, in exactly this spelling and case. The message lists them.",
  },
  BadDuration: {
    code: "HW1006",
    title: "not a duration",
    help: "Durations are text with a unit: `5s`, `1.5s`, `250ms`, `1m30s`, `2h`. Units: `h`, `m`, `s`, `ms`, `us`, `ns`; there is none for days. A bare number is refused because it does not say its unit.",
  },
  NumberOutOfRange: {
    code: "HW1007",
    title: "a number out of range",
    help: "The number does not fit the type of the field: negative where only positive numbers are possible, a fraction where whole numbers are, or larger than the type can hold.",
    cure: "use a number in this range",
  },
  BadBase64: {
    code: "HW1008",
    title: "not base64",
    help: "The field holds bytes, written as base64. `base64 -w0 FILE` prints a file in that form.",
  },
  UnknownAnyType: {
    code: "HW1009",
    title: "a message of unknown type",
    help: "A field that takes any message needs `@type`, which names the message: `type.googleapis.com/envoy.extensions.filters.http.lua.v3.Lua`. It must be a type of Envoy 1.40's v3 API or of the gloo.solo.io API.",
  },
  BadText: {
    code: "HW1010",
    title: "text that is not Unicode",
    help: "The text holds half of a surrogate pair (such as `\\ud800` alone), which no protobuf string can hold.",
  },
  TooLarge: {
    code: "HW1011",
    title: "a file over the limits",
    help: "Limits on one file keep a mistake from stopping the gateway: 4 MiB of text, 50,000 documents, 64 levels of nesting, and 100 aliases after expansion. Split the file.",
  },
  UnknownTag: {
    code: "HW1012",
    title: "a YAML tag that means nothing here",
    help: "Tags such as `!include` or `!!js/function` are instructions to the program that reads the file. None is followed here. Only the plain types of YAML (`!!str`, `!!int`, `!!float`, `!!bool`, `!!null`, `!!map`, `!!seq`) are understood.",
  },
  UnknownAlias: {
    code: "HW1013",
    title: "an alias without its anchor",
    help: '`*name` repeats what was marked `&name` earlier in the same document. A text that begins with `*`, such as a domain, needs quotes: `"*.example.com"`.',
  },
  BadMergeKey: {
    code: "HW1014",
    title: "a merge key that does not merge",
    help: "`<<:` takes a map, an alias of a map, or a list of those.",
    cure: "merge an anchor, as in <<: *defaults",
  },
  BadKey: {
    code: "HW1015",
    title: "a key that is not text",
    help: "The keys of a map are single values. `{{ }}` of a template reads as such a key, too: quote it where it is a transformation's, and render it first where it is Helm's.",
    cure: "write a single value in front of the colon",
  },
  AmbiguousScalar: {
    code: "HW1016",
    title: "a value that YAML versions read differently",
    help: 'YAML 1.1, which kubectl and Gloo speak, reads `yes`, `no`, `on`, `off`, `y` and `n` as booleans, `010` as the number 8 and `1_000` as 1000; YAML 1.2 does not. The warning says what was understood, which is what Gloo would have made of it (text where the field wants text). Write `true`, `8` or `"no"` to be plain.',
  },
  LooseNumber: {
    code: "HW1017",
    title: "a number in a loose form",
    help: "Whole numbers are written `9000`. `'9000'`, `9000.0` and `9e3` are read as that number, because Gloo reads them so; other tools that share the file may not.",
  },
  LooseDuration: {
    code: "HW1018",
    title: "a duration in a loose form",
    help: "A duration is numbers with units: `90s`, `1m30s`, `500ms`. Forms such as `.5s`, `1.s`, `+5s` and `10µs` are read, because Gloo reads them; others may not.",
  },
  EnumByNumber: {
    code: "HW1019",
    title: "an enum by its number",
    help: "The number is read as the value it stands for. Write the name: it says what it means and is what is printed back.",
  },
  OneofConflict: {
    code: "HW1020",
    title: "two choices where one counts",
    help: "The fields named exclude each other, and only one is used: the one that the API declares later, whatever their order in the file. That is what Gloo does. Remove the other.",
  },
  BothSpellings: {
    code: "HW1021",
    title: "one field in two spellings",
    help: "The field is there in camelCase and in snake_case. The camelCase one counts, whatever their order; that is what Gloo does. Remove the other.",
  },
  NullItem: {
    code: "HW1022",
    title: "an empty item",
    help: "A list or a map has an item without a value (a `-` with nothing behind it). It counts as an item with nothing set, because Gloo reads it so. Remove it if that is not what you mean.",
  },
  OldShape: {
    code: "HW1030",
    title: "written in the shape of 2019",
    help: "The object uses field names of Gloo before 1.0. They were read as today's fields; the message lists each. Nothing needs to be done, but new options exist only in today's shape.",
  },
  OldFieldNotConverted: {
    code: "HW1031",
    title: "a field of 2019 that has no equal today",
    help: "The field existed in Gloo before 1.0 and means nothing today, or what it meant is configured in another way. It was left out; the rest of the object is in service.",
  },
  MissingKind: {
    code: "HW1040",
    title: "what kind of object is this?",
    help: "An object says its kind by `apiVersion` and `kind` (as in Kubernetes), or by its place `<plural>/<namespace>/<name>.yaml` (as in Gloo's file mode: `upstreams/gloo-system/petstore.yaml`), or by fields that only one kind has. None of these settles it here. Add:\n\n```yaml\napiVersion: gloo.solo.io/v1\nkind: Upstream\nmetadata: {name: petstore, namespace: gloo-system}\nspec: …\n```",
    cure: "write apiVersion and kind, as in kind: Upstream",
  },
  UnknownKind: {
    code: "HW1041",
    title: "unknown kind",
    help: "The group belongs to the gloo.solo.io API, which has no such kind. The object does nothing.",
  },
  WrongApiVersion: {
    code: "HW1042",
    title: "wrong apiVersion for this kind",
    help: "Each kind has one group and version. The message names it.",
  },
  ForeignKind: {
    code: "HW1043",
    title: "an object that is not read",
    help: "The object is of a kind that is not part of the gloo.solo.io API. It is left alone.",
  },
  NotAResource: {
    code: "HW1044",
    title: "a document that is no resource",
    help: "A document of this file is YAML, but not an object of the API: it has neither `kind` nor `metadata` nor any field of the API. It is left alone. Keep other YAML files out of the folder, or begin their names with a dot, to be rid of this warning.",
    cure: "write one object in each document, between lines of ---",
  },
  InvalidName: {
    code: "HW1045",
    title: "not a valid name",
    help: "Names and namespaces follow Kubernetes: lower case letters, digits, `-` (in names also `.`), beginning and ending with a letter or digit, at most 253 characters (namespaces 63).",
    cure: "choose a name as my-upstream",
  },
  InvalidMetadata: {
    code: "HW1046",
    title: "metadata that cannot be read",
    help: "`metadata` holds `name`, `namespace`, `labels` and `annotations` (both maps of text to text).",
    cure: "write it as a map, as in labels: {app: web}",
  },
  DuplicateResource: {
    code: "HW1047",
    title: "the same object twice",
    help: "Two places of the folder define the same object. The one that was in service first stays, the other is not looked at; where nothing is known from before (a start without `--state-dir`), the first by path counts. Remove one.",
  },
  BadKubeObject: {
    code: "HW1048",
    title: "a Kubernetes object that cannot be read",
    help: "The Kubernetes object (Secret, ConfigMap, Service, …) holds something that the API server would refuse.",
  },
  StaleObject: {
    code: "HW1049",
    title: "the last good version is in service",
    help: "The file that this object stands in cannot be read at the moment; the object is as it was when the file was last readable. Mend the file, or remove it to remove the object.",
  },
  FileSkipped: {
    code: "HW1050",
    title: "a file that is not read",
    help: "Only regular files are read, and links only when they stay inside of the folder. Pipes, sockets, devices and links that lead elsewhere are skipped: a configuration folder must not be a way to read the rest of the machine.",
  },
  FileUnreadable: {
    code: "HW1051",
    title: "a file that cannot be read",
    help: "The system refused to read the file; the message says why. The objects that it held stay in service as they were.",
  },
  FolderUnreadable: {
    code: "HW1052",
    title: "the folder cannot be read",
    help: "The folder is gone, or the system refuses to list it. Everything that was read from it before stays in service; it is tried again all the time.",
  },
  DeletionHeld: {
    code: "HW1053",
    title: "a mass deletion is being checked",
    help: "After the folder was away, most of its objects are missing. That may be a mount that is not there yet, so they stay in service until a second look, at least 5 seconds later, finds the same.",
  },
  WatchDegraded: {
    code: "HW1054",
    title: "changes are found by polling",
    help: "The system refused to watch a folder; the message says why. Most often it allows no more file watches: on Linux raise the limit, `sysctl fs.inotify.max_user_watches=524288` (or `max_user_instances`). Where a right is missing, give the right to read the folder. Until then changes are still found, within a second or two, by looking at all files again and again.",
  },
} as const satisfies Record<string, CatalogEntry>;
