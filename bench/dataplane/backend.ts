// What stands behind the proxies: `backend.ts PORT`. A kilobyte for each request; a gibibyte for `GET /stream`, as fast as it is taken; and what is
// uploaded is thrown away. `GET /answered` tells how many requests there were.

import { createServer, type Socket } from "node:net";
import { answerBytes, streamedBytes } from "./shapes.ts";

const piece = Buffer.alloc(65_536, "x");
const answer = Buffer.from(
  `HTTP/1.1 200 OK\r\nContent-Type: text/plain\r\nContent-Length: ${answerBytes}\r\n\r\n${"x".repeat(answerBytes)}`,
);

let answered = 0;

createServer({ noDelay: true }, serve).listen(Number(process.argv[2]), "127.0.0.1", 4_096, () => console.log("ready"));

function serve(socket: Socket): void {
  let head = "";
  /** Of an upload. */
  let left = 0;
  socket.on("error", () => undefined);
  socket.on("data", (data) => {
    if (left > 0) {
      left -= data.length;
      if (left <= 0) socket.write(answer);
      return;
    }
    // A request is nearly always whole in one piece.
    head += data.toString("latin1");
    const end = head.indexOf("\r\n\r\n");
    if (end < 0) return;
    const length = Number(/content-length: *(\d+)/i.exec(head)?.[1] ?? 0);
    left = length - (head.length - end - 4);
    answered++;
    if (head.startsWith("GET /answered")) socket.end(`HTTP/1.1 200 OK\r\n\r\n${--answered}`);
    else if (head.startsWith("GET /stream")) stream(socket);
    else if (left <= 0) socket.write(answer);
    head = "";
  });
}

function stream(socket: Socket): void {
  let sent = 0;
  const more = () => {
    while (sent < streamedBytes) {
      sent += piece.length;
      if (!socket.write(piece)) return;
    }
    socket.off("drain", more);
  };
  socket.on("drain", more);
  socket.write(`HTTP/1.1 200 OK\r\nContent-Length: ${streamedBytes}\r\n\r\n`);
  more();
}
