/** Whether a text is what EIP-4361 has this site ask this wallet to sign, and nothing else. */

const FIELDS = ["URI", "Version", "Chain ID", "Nonce", "Issued At"];

export function isSignInText(text: string, address: string, host: string): boolean {
  const lines = text.split("\n");
  return (
    lines[0] === `${host} wants you to sign in with your Ethereum account:` &&
    lines[1] === address &&
    FIELDS.every((field) => lines.some((line) => line.startsWith(`${field}: `)))
  );
}
