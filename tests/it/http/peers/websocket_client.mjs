// What programs do with ws: `websocket_client.mjs URL`, with the session's secret in HOOP_SECRET and the package in
// NODE_FOLDER.
import assert from "node:assert";
import { once } from "node:events";
import { createRequire } from "node:module";

const { WebSocket } = createRequire(`${process.env.NODE_FOLDER}/x.js`)("ws");
const [url] = process.argv.slice(2);
const socket = new WebSocket(url, ["chat"], { headers: { "Hoop-Session": process.env.HOOP_SECRET } });
const told = [];
let wake = () => {};
socket.on("message", (data, isBinary) => { told.push(isBinary ? data : data.toString()); wake(); });
const next = async () => {
  while (told.length === 0) await new Promise((go) => { wake = go; });
  return told.shift();
};
await once(socket, "open");
assert.equal(await next(), "subprotocol chat");
for (const message of ["hello", "träce", "x".repeat(1_000_000)]) {
  socket.send(message);
  assert.equal(await next(), message);
}
socket.send(Buffer.from([0, 255, 1]));
assert.deepEqual(await next(), Buffer.from([0, 255, 1]));
socket.ping("p");
assert.equal(String((await once(socket, "pong"))[0]), "p");
const closed = once(socket, "close");
socket.send("bye");
assert.deepEqual((await closed).map(String), ["4000", "bye yourself"]);
console.log("done");
