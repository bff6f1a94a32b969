// Operations → the templates of `serviceSpec.rest.transformations`, in Gloo's form: a path with `{{ default(id, "") }}` for its parameters,
// `{{default(name, "")}}` for those of query and headers, and a JSON body made of variables. Pure.
import { create, type MessageInitShape } from "@bufbuild/protobuf";
import {
  type TransformationTemplate,
  TransformationTemplateSchema,
} from "../../gen/gloo/gloo/projects/gloo/api/external/envoy/extensions/transformation/transformation_pb.js";
import type { BodyField, OpenApiDocument, Operation } from "./document.ts";

export interface RestFunctions {
  readonly transformations: Record<string, TransformationTemplate>;
  readonly leftOut: readonly string[];
}

export function restFunctionsOf({ operations, leftOut }: OpenApiDocument): RestFunctions {
  const functions = new Map<string, TransformationTemplate>();
  const without = [...leftOut];
  for (const operation of operations) {
    const byPath = safeName(operation.method.toLowerCase() + operation.path.replaceAll("/", "."));
    const name = [operation.id === undefined ? undefined : safeName(operation.id), byPath].find(
      (each) => each !== undefined && !functions.has(each),
    );
    const template = templateOf(operation);
    if (name === undefined || template === undefined) without.push(`${operation.method} ${operation.path.slice(0, 100)}`);
    else functions.set(name, template);
  }
  return { transformations: Object.fromEntries([...functions].sort(([a], [b]) => (a < b ? -1 : 1))), leftOut: without.slice(0, 20) };
}

/** Names are written in routes and shown to people. */
export function safeName(name: string): string | undefined {
  const safe = name
    .slice(0, 128)
    .replace(/[^A-Za-z0-9_.{}:-]/g, "_")
    .replaceAll("..", "._");
  return safe === "" || safe in {} ? undefined : safe;
}

/** What Inja takes for a variable; anything else could end the expression it is put into. */
const variable = /^[A-Za-z_][A-Za-z0-9_.-]{0,127}$/;
const headerName = /^[A-Za-z0-9!#$%&'*+.^_|~-]{1,128}$/;
/** How a message is framed and routed is not a document's to say. */
const notToSet = /^(connection|content-length|transfer-encoding|te|trailer|upgrade|host|keep-alive|proxy-.*|x-envoy-.*|expect)$/i;

type Init = Exclude<MessageInitShape<typeof TransformationTemplateSchema>, { $typeName: string }>;

/** Undefined for a path that cannot be written as a template. */
function templateOf({ method, base, path, query, headers, body }: Operation): TransformationTemplate | undefined {
  const written = pathTemplate(base + path);
  if (written === undefined) return undefined;
  const asked = query.filter((name) => variable.test(name)).map((name) => `${name}={{default(${name}, "")}}`);
  const set: Record<string, string> = {
    ":method": method,
    ":path": asked.length > 0 ? `${written}?${asked.join("&")}` : written,
  };
  for (const name of headers)
    if (variable.test(name) && headerName.test(name) && !notToSet.test(name)) set[name] = `{{default(${name}, "")}}`;
  const isBare = method === "GET" || method === "HEAD";
  // Empty values remove the header.
  if (isBare) Object.assign(set, { "content-type": "", "content-length": "0", "transfer-encoding": "" });
  else set["content-type"] = "application/json";
  return create(TransformationTemplateSchema, {
    headers: Object.fromEntries(
      Object.entries(set)
        .sort(([a], [b]) => (a < b ? -1 : 1))
        .map(([name, text]) => [name, { text }]),
    ),
    bodyTransformation: bodyTemplate(method, isBare, body),
  });
}

function bodyTemplate(method: string, isBare: boolean, body: Operation["body"]): NonNullable<Init["bodyTransformation"]> {
  if (isBare) return { case: "body", value: { text: "" } };
  const fields = body?.fields?.filter(({ name }) => variable.test(name) && !name.includes(".")) ?? [];
  if (fields.length > 0) return { case: "body", value: { text: `{${fields.map(field).sort().join(",")}}` } };
  if (body || method === "POST" || method === "PATCH" || method === "PUT") return { case: "passthrough", value: {} };
  return { case: undefined };
}

/** Texts are escaped; a number, list or object that is not given is null (Gloo's templates make no JSON of either). */
function field({ name, isText, default: standard }: BodyField): string {
  const otherwise = JSON.stringify(standard ?? (isText ? "" : "null"));
  return isText ? `"${name}": "{{ raw_string(default(${name}, ${otherwise})) }}"` : `"${name}": {{ default(${name}, ${otherwise}) }}`;
}

function pathTemplate(path: string): string | undefined {
  let isGood = true;
  const written = path.replace(/\{([^{}]*)\}/g, (_, name: string) => {
    if (!variable.test(name)) isGood = false;
    return `{{ default(${name}, "") }}`;
  });
  const plain = path.replace(/\{[^{}]*\}/g, "");
  return isGood && /^[A-Za-z0-9/._~!$&'()*+,;=:@%-]*$/.test(plain) ? written : undefined;
}
