// Load for where wrk is not: `load.ts PORT CONNECTIONS SECONDS` prints how many responses came.

import { connect } from "node:net";

const [port, connections, seconds] = process.argv.slice(2).map(Number) as [number, number, number];
const request = Buffer.from("GET / HTTP/1.1\r\nHost: bench\r\n\r\n");
let done = 0;
for (let i = 0; i < connections; i++) {
  const socket = connect(port, "127.0.0.1");
  socket.setNoDelay(true);
  let left = 0;
  socket.on("connect", () => socket.write(request));
  socket.on("error", () => undefined);
  socket.on("data", (data) => {
    left -= data.length;
    if (left < -data.length + 1) {
      // The head of a response: the rest of it is what its length says.
      const end = data.indexOf("\r\n\r\n");
      const length = Number(/content-length: (\d+)/i.exec(data.toString("latin1", 0, end))?.[1] ?? 0);
      left = length - (data.length - end - 4);
    }
    if (left > 0) return;
    left = 0;
    done++;
    socket.write(request);
  });
}
setTimeout(() => {
  console.log(JSON.stringify({ requests: done, perSecond: done / seconds }));
  process.exit(0);
}, seconds * 1_000);
