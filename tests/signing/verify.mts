/** Checks every vector of a file with `signing`: node verify.mjs vectors.json. Prints each that fails; exits with 1 then. */

import { readFileSync } from "node:fs";

import type { Hex } from "viem";
import { privateKeyToAccount } from "viem/accounts";

import * as signing from "./signing.mjs";

interface Signed {
  name: string;
  secret_key: Hex;
  text: string;
  signature: string;
}

interface Vectors extends signing.Deployment {
  chain_id: number;
  vault: string;
  requests: (Signed & signing.Request)[];
  websocket: (Signed & signing.WebSocketLogin)[];
  approvals: {
    name: string;
    owner_secret_key: Hex;
    owner: string;
    message: signing.Approval;
    digest: string;
    signature: string;
  }[];
}

const vectors = JSON.parse(readFileSync(process.argv[2]!, "utf8")) as Vectors;
const failures: string[] = [];
let checked = 0;

function check(name: string, what: string, holds: boolean): void {
  checked += 1;
  if (!holds) {
    failures.push(`${name}: ${what}`);
  }
}

async function checkSigned(vector: Signed & { key: string }, text: string): Promise<void> {
  check(vector.name, "the text is another", text === vector.text);
  check(vector.name, "the signature is not this key's", await signing.isSignedBy(text, vector.key, vector.signature));
  check(vector.name, "signed here it is another", (await signing.signed(text, vector.key, vector.secret_key)) === vector.signature);
  check(vector.name, "it fits another text too", !(await signing.isSignedBy(text + " ", vector.key, vector.signature)));
}

for (const vector of vectors.requests) {
  await checkSigned(vector, signing.requestText(vectors, vector));
}
for (const vector of vectors.websocket) {
  await checkSigned(vector, signing.webSocketText(vectors, vector));
}
for (const vector of vectors.approvals) {
  const owner = privateKeyToAccount(vector.owner_secret_key);
  check(vector.name, "the digest is another", signing.approvalDigest(vectors, vector.message) === vector.digest);
  check(
    vector.name,
    "the owner did not sign it",
    (await signing.approvalSigner(vectors, vector.message, vector.signature)) === owner.address.toLowerCase(),
  );
  check(
    vector.name,
    "signed here it is another",
    (await owner.signTypedData(signing.approvalTypedData(vectors, vector.message))) === vector.signature,
  );
}

for (const failure of failures) {
  console.log(failure);
}
console.log(`checked=${checked} failed=${failures.length}`);
process.exitCode = failures.length || !checked ? 1 : 0;
