// Checks what it is sent with the reference implementation of Standard Webhooks, and says what came
// of it, line by line; the first line is its port. Also tries each message with one word altered.
import { createServer } from "node:http";
import { createRequire } from "node:module";

const [place, secret] = process.argv.slice(2);
const { Webhook } = createRequire(`${place}/package.json`)("standardwebhooks");
const webhook = new Webhook(secret);

function verdict(body, headers) {
  try {
    webhook.verify(body, headers);
    return "verified";
  } catch (error) {
    return error.message;
  }
}

const server = createServer(async (request, response) => {
  let body = "";
  for await (const chunk of request) body += chunk;
  const altered = verdict(body.replace('"db"', '"production"'), request.headers);
  console.log(JSON.stringify({ verdict: verdict(body, request.headers), altered, body }));
  response.writeHead(204).end();
});
server.listen(0, "127.0.0.1", () => console.log(server.address().port));
