/**
 * Signs one request with `signing` and sends it to a running exchange:
 * node request.mjs URL KEY SECRET METHOD TARGET [BODY]. Prints the status, then the answer.
 */

import type { Hex } from "viem";

import * as signing from "./signing.mjs";

const [url, key, secret, method, target, body = ""] = process.argv.slice(2) as [string, string, Hex, string, string, string?];
const { genesis_id, host } = (await (await fetch(`${url}/v1/deployment`)).json()) as signing.Deployment;
const now = Date.now();
const request = { key, method, target, body, nonce: `${now}000`, expires_ms: `${now + 10_000}` };
const signature = await signing.signed(signing.requestText({ genesis_id, host }, request), key, secret);
const headers: Record<string, string> = {
  "Exchange-Key": key,
  "Exchange-Nonce": request.nonce,
  "Exchange-Expires": request.expires_ms,
  "Exchange-Signature": signature,
};
if (body) {
  headers["Content-Type"] = "application/json";
}
const answer = await fetch(url + target, { method, headers, ...(body ? { body } : {}) });
console.log(answer.status);
console.log(await answer.text());
