// Node's HTTP, for what is loaded at every start. `import … from "node:http"` reads each export of it, and for one of them, WebSocket,
// Node loads all of undici: 25 ms and 13 MB that nothing here needs.
const http = process.getBuiltinModule("node:http");

export const { Agent, createServer, request, STATUS_CODES } = http;
