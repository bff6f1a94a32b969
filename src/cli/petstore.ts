// The backend of the demo: a few pets in memory, and an OpenAPI document that says how to ask for them.
import type { IncomingMessage, ServerResponse } from "node:http";
import { createServer } from "../lib/node-http.ts";

export interface Petstore extends AsyncDisposable {
  /** `http://127.0.0.1:9090` */
  readonly url: string;
}

interface Pet {
  readonly id: number;
  readonly name: string;
  readonly tag?: string;
}

/** Nobody needs more in a demo, and a visitor must not fill our memory. */
const mostPets = 1000;
const largestBody = 4096;

export async function startPetstore(host: string, port: number): Promise<Petstore> {
  const pets = new Map<number, Pet>([
    [1, { id: 1, name: "Rex", tag: "dog" }],
    [2, { id: 2, name: "Mimi", tag: "cat" }],
    [3, { id: 3, name: "Bubbles", tag: "fish" }],
  ]);
  const server = createServer((request, response) => void answer(pets, request, response).catch(() => response.destroy()));
  await new Promise<void>((resolve, reject) => {
    server.once("error", reject);
    server.listen(port, host, resolve);
  });
  const bound = server.address() as { port: number };
  return {
    url: `http://${host.includes(":") ? `[${host}]` : host}:${bound.port}`,
    async [Symbol.asyncDispose]() {
      const closed = new Promise((resolve) => server.close(resolve));
      server.closeAllConnections();
      await closed;
    },
  };
}

async function answer(pets: Map<number, Pet>, request: IncomingMessage, response: ServerResponse): Promise<void> {
  const [path = "/"] = (request.url ?? "/").split("?");
  if (path === "/swagger.json" || path === "/openapi.json") return send(response, 200, openApi);
  const match = /^\/api\/pets(?:\/(\d{1,9}))?\/?$/.exec(path);
  if (match === null) return send(response, 404, { error: `there is nothing at ${path}` });
  const id = match[1] === undefined ? undefined : Number(match[1]);
  switch (`${request.method} ${id === undefined ? "all" : "one"}`) {
    case "GET all":
      return send(response, 200, [...pets.values()]);
    case "POST all": {
      const pet = parsePet(await bodyOf(request), nextId(pets));
      if (pet === undefined) return send(response, 400, { error: 'a pet is {"name": "…", "tag": "…"}' });
      if (pets.size >= mostPets) return send(response, 507, { error: "the store is full" });
      pets.set(pet.id, pet);
      return send(response, 201, pet);
    }
    case "GET one":
    case "DELETE one": {
      const pet = pets.get(id as number);
      if (pet === undefined) return send(response, 404, { error: `there is no pet ${id}` });
      if (request.method === "DELETE") pets.delete(pet.id);
      return send(response, 200, pet);
    }
    default:
      return send(response, 405, { error: `${request.method} is not possible here` });
  }
}

function send(response: ServerResponse, status: number, body: unknown): void {
  const text = `${JSON.stringify(body)}\n`;
  response.writeHead(status, { "content-type": "application/json", "content-length": Buffer.byteLength(text) }).end(text);
}

async function bodyOf(request: IncomingMessage): Promise<string> {
  let text = "";
  for await (const chunk of request.setEncoding("utf8")) {
    text += chunk;
    if (text.length > largestBody) return "";
  }
  return text;
}

function parsePet(text: string, id: number): Pet | undefined {
  try {
    const { name, tag } = JSON.parse(text);
    if (typeof name !== "string" || name === "") return undefined;
    return { id, name, ...(typeof tag === "string" && { tag }) };
  } catch {
    return undefined;
  }
}

function nextId(pets: ReadonlyMap<number, Pet>): number {
  return Math.max(0, ...pets.keys()) + 1;
}

const pet = { $ref: "#/components/schemas/Pet" };
const answers = (description: string, schema: object) => ({ description, content: { "application/json": { schema } } });
const idParameter = { name: "id", in: "path", required: true, schema: { type: "integer" } };

const openApi = {
  openapi: "3.0.3",
  info: { title: "Petstore", version: "1.0.0" },
  paths: {
    "/api/pets": {
      get: { operationId: "findPets", responses: { 200: answers("all pets", { type: "array", items: pet }) } },
      post: {
        operationId: "addPet",
        requestBody: { required: true, content: { "application/json": { schema: { $ref: "#/components/schemas/NewPet" } } } },
        responses: { 201: answers("the new pet", pet) },
      },
    },
    "/api/pets/{id}": {
      get: { operationId: "findPetById", parameters: [idParameter], responses: { 200: answers("one pet", pet) } },
      delete: { operationId: "deletePet", parameters: [idParameter], responses: { 200: answers("the pet that was", pet) } },
    },
  },
  components: {
    schemas: {
      NewPet: { type: "object", required: ["name"], properties: { name: { type: "string" }, tag: { type: "string" } } },
      Pet: {
        type: "object",
        required: ["id", "name"],
        properties: { id: { type: "integer" }, name: { type: "string" }, tag: { type: "string" } },
      },
    },
  },
};
