// The end of a gateway that is in the middle of much: whoever it serves gets what it owes.
import { expect, test } from "vitest";
import { WebSocket, WebSocketServer } from "ws";
import { ask, backend, folder, run, until, untilAnswers, upstream, virtualService } from "./gateway.ts";

const requests = 1_000;
const webSockets = 100;

test("SIGTERM with 1,000 requests and 100 WebSockets in flight loses none of them", { timeout: 120_000 }, async () => {
  await using slow = await backend("slow");
  const held: (() => void)[] = [];
  slow.server.removeAllListeners("request");
  slow.server.on("request", (asked, answer) => {
    if (asked.url === "/now") answer.end("slow /now");
    else held.push(() => answer.end(`at last ${asked.url}`));
  });
  // An Upstream of their own: one takes 1,024 connections.
  await using echo = await backend("echo");
  const server = new WebSocketServer({ server: echo.server });
  server.on("connection", (socket) => socket.on("message", (data) => socket.send(`echo ${data}`)));
  using config = await folder();
  config.write("upstreams.yaml", [upstream("slow", slow.port), upstream("echo", echo.port)]);
  config.write("a.yaml", virtualService("a", "slow"));
  config.write("b.yaml", virtualService("b", "echo"));
  await using running = await run(config, "--proxy", "embedded", "--grace", "8");
  await untilAnswers(config.port, "a.test", "slow /now", "/now");

  const answers = Array.from({ length: requests }, (_, index) => ask(config.port, "a.test", `/${index}`));
  const sockets = await Promise.all(Array.from({ length: webSockets }, () => openSocket(config.port)));
  await until("all requests are at the backend", () => held.length === requests);
  running.process.kill("SIGTERM");
  await running.said(/draining/);

  // Those that are open go on, both ways.
  expect(await Promise.all(sockets.map((socket, index) => echoed(socket, String(index))))).toEqual(
    sockets.map((_, index) => `echo ${index}`),
  );
  for (const answer of held) answer();
  const bodies = (await Promise.all(answers)).map((answer) => (answer?.status === 200 ? answer.body : `lost: ${answer?.status}`));
  expect(bodies).toEqual(answers.map((_, index) => `at last /${index}`));
  // Half of them are done in time; the others are told that the gateway goes away.
  const ends = sockets.map((socket) => new Promise<number>((resolve) => socket.once("close", resolve)));
  for (const socket of sockets.slice(0, webSockets / 2)) socket.close(1000);
  expect(await Promise.all(ends)).toEqual(sockets.map((_, index) => (index < webSockets / 2 ? 1000 : 1001)));
  expect(await running.ended).toMatchObject({ code: 0 });
  server.close();
});

async function openSocket(port: number): Promise<WebSocket> {
  const socket = new WebSocket(`ws://127.0.0.1:${port}/`, { headers: { host: "b.test" } });
  await new Promise((resolve, reject) => socket.once("open", resolve).once("error", reject));
  return socket;
}

function echoed(socket: WebSocket, text: string): Promise<string> {
  return new Promise((resolve) => {
    socket.once("message", (data) => resolve(String(data)));
    socket.once("close", (code) => resolve(`closed with ${code}`));
    socket.send(text);
  });
}
