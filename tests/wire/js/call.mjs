// Reads one JSON object {url, command, input, credentials?} a line from standard input, makes each call with the AWS SDK for JavaScript,
// and writes one JSON object a line: {output} or {error: {name, message, code, requestId, detailedMessage, status}}.
import { createInterface } from "node:readline";
import * as sdk from "@aws-sdk/client-neptunedata";

const example = { accessKeyId: "AKIDEXAMPLE", secretAccessKey: "example" };
const clients = new Map();
function clientOf(url, credentials) {
  const key = JSON.stringify([url, credentials]);
  if (!clients.has(key)) {
    clients.set(key, new sdk.NeptunedataClient({ endpoint: url, region: "us-east-1", credentials }));
  }
  return clients.get(key);
}

for await (const line of createInterface({ input: process.stdin })) {
  const { url, command, input, credentials = example } = JSON.parse(line);
  try {
    const { $metadata, ...output } = await clientOf(url, credentials).send(new sdk[command + "Command"](input));
    console.log(JSON.stringify({ output, requestId: $metadata.requestId }));
  } catch (error) {
    const { name, message, code, requestId, detailedMessage } = error;
    console.log(JSON.stringify({ error: { name, message, code, requestId, detailedMessage, status: error.$metadata?.httpStatusCode } }));
  }
}
