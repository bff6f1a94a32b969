// The fastest proxy library of npm, as its documentation uses it: `fast-proxy.mjs FOLDER PORT BACKEND_PORT`; FOLDER is where it is installed.
import { createServer } from "node:http";
import { createRequire } from "node:module";

const [folder, port, backend] = process.argv.slice(2);
const { proxy } = createRequire(`${folder}/`)("fast-proxy")({ base: `http://127.0.0.1:${backend}` });
createServer((request, response) => proxy(request, response, request.url, {})).listen(Number(port), "127.0.0.1", () =>
  console.log("ready"),
);
