// Load for where wrk or h2load is not: `load.ts PORT CONNECTIONS SECONDS [tls] [h2] [STREAMS]` prints how many responses came.

import { connect as connectHttp2, constants } from "node:http2";
import { connect, type Socket } from "node:net";
import { connect as connectTls } from "node:tls";
import { ResponseCounter } from "./response-counter.ts";

const [port, connections, seconds] = process.argv.slice(2, 5).map(Number) as [number, number, number];
const isTls = process.argv.includes("tls");
const isHttp2 = process.argv.includes("h2");
const streams = Number(process.argv.at(-1)) || 1;
const request = Buffer.from("GET / HTTP/1.1\r\nHost: bench\r\n\r\n");
let done = 0;
for (let i = 0; i < connections; i++) {
  if (isHttp2) askHttp2();
  else askHttp1();
}
setTimeout(() => {
  console.log(JSON.stringify({ requests: done, perSecond: done / seconds }));
  process.exit(0);
}, seconds * 1_000);

function askHttp1(): void {
  const socket: Socket = isTls ? connectTls({ port, host: "127.0.0.1", rejectUnauthorized: false }) : connect(port, "127.0.0.1");
  socket.setNoDelay(true);
  const counter = new ResponseCounter(() => {
    done++;
    socket.write(request);
  });
  socket.on(isTls ? "secureConnect" : "connect", () => socket.write(request));
  socket.on("error", () => undefined);
  socket.on("data", (data) => counter.read(data));
}

function askHttp2(): void {
  const session = connectHttp2(`${isTls ? "https" : "http"}://127.0.0.1:${port}`, { rejectUnauthorized: false });
  session.on("error", () => undefined);
  const ask = () => {
    const stream = session.request({ [constants.HTTP2_HEADER_PATH]: "/" });
    stream.on("error", () => undefined);
    stream.on("end", () => {
      done++;
      ask();
    });
    stream.resume();
  };
  for (let i = 0; i < streams; i++) ask();
}
