/**
 * Whether a text is what this exchange has this wallet sign to sign in, line by line, and nothing else. Such a text is
 * signed right after an unlock without being shown, so it must not have room for anything more: no resources (which
 * could hand rights on), no other statement, and no longer life than a sign-in needs. Source: EIP-4361.
 */

/** The site that asks, and the chain that it is for. */
export interface Site {
  /** As the address bar has it: "exchange.example:8000". */
  readonly host: string;
  readonly origin: string;
  readonly chainId: number;
}

const STATEMENT = "Sign in to the exchange. This request moves no funds and costs nothing.";
const LONGEST_MS = 15 * 60_000;
const TIME = /^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d(?:\.\d{1,9})?Z$/;
const NONCE = /^[A-Za-z0-9]{8,64}$/;

export function isSignInText(text: string, address: string, site: Site): boolean {
  const lines = text.split("\n");
  const nonce = valueOf(lines[8], "Nonce");
  const issued = valueOf(lines[9], "Issued At");
  const expires = valueOf(lines[10], "Expiration Time");
  const written = [
    `${site.host} wants you to sign in with your Ethereum account:`,
    address,
    "",
    STATEMENT,
    "",
    `URI: ${site.origin}`,
    "Version: 1",
    `Chain ID: ${site.chainId}`,
    `Nonce: ${nonce}`,
    `Issued At: ${issued}`,
    `Expiration Time: ${expires}`,
  ];
  return text === written.join("\n") && NONCE.test(nonce) && isShort(issued, expires);
}

/** Compared with each other only: this device's clock may be wrong. */
function isShort(issued: string, expires: string): boolean {
  if (!TIME.test(issued) || !TIME.test(expires)) return false;
  const lifeMs = Date.parse(expires) - Date.parse(issued);
  return lifeMs > 0 && lifeMs <= LONGEST_MS; // false for what is no date
}

function valueOf(line: string | undefined, field: string): string {
  return line?.startsWith(`${field}: `) === true ? line.slice(field.length + 2) : "";
}
