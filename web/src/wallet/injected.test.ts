// @vitest-environment jsdom
import { afterEach, beforeEach, expect, test, vi } from "vitest";

import { connect, reconnect, spoken, WalletFailed } from "./injected";
import { type AnnouncedProvider, parseAnnouncement, type Provider } from "./providers";
import { SignatureRefused } from "./signer";

const ADDRESS = "0x70997970C51812dc3A010C7d01b50e0d17dc79C8";

class FakeProvider implements Provider {
  readonly calls: { method: string; params?: unknown }[] = [];
  accounts: string[] = [ADDRESS.toLowerCase()];
  chainId = "0x1";
  /** Whether it switches to a chain that it adds. */
  follows = true;
  answers: Record<string, unknown> = {};
  #listeners = new Set<(value: unknown) => void>();

  async request(call: { method: string; params?: unknown }): Promise<unknown> {
    this.calls.push(call);
    const answer = this.answers[call.method];
    if (answer instanceof Error || (typeof answer === "object" && answer !== null && "code" in answer)) throw answer;
    if (answer !== undefined) return answer;
    if (call.method === "eth_accounts" || call.method === "eth_requestAccounts") return this.accounts;
    if (call.method === "eth_chainId") return this.chainId;
    if (call.method === "wallet_addEthereumChain" && this.follows) this.chainId = "0x7a69";
    return null;
  }

  on(_: string, listener: (value: unknown) => void): void {
    this.#listeners.add(listener);
  }

  removeListener(_: string, listener: (value: unknown) => void): void {
    this.#listeners.delete(listener);
  }

  switchTo(...accounts: string[]): void {
    this.accounts = accounts;
    this.#listeners.forEach((listener) => listener(accounts));
  }

  methods(): string[] {
    return this.calls.map((call) => call.method);
  }
}

let provider: FakeProvider;
let wallet: AnnouncedProvider;

beforeEach(() => {
  provider = new FakeProvider();
  wallet = { id: "1", name: "Test Wallet", rdns: "test.wallet", icon: null, provider };
  const deployment = { chain_id: 31337, rpc_url: "http://localhost:8545" };
  vi.stubGlobal("fetch", async () => new Response(JSON.stringify(deployment), { status: 200 }));
});
afterEach(() => vi.unstubAllGlobals());

test("connecting gives the account with its checksum", async () => {
  expect((await connect(wallet)).address).toBe(ADDRESS);
});

test("a refusal is told from a failure", async () => {
  provider.answers["eth_requestAccounts"] = { code: 4001, message: "User rejected the request." };
  await expect(connect(wallet)).rejects.toThrow(SignatureRefused);
  provider.answers["eth_requestAccounts"] = { code: -32603, message: "Internal error" };
  await expect(connect(wallet)).rejects.toThrow(WalletFailed);
  expect(spoken({ code: -32603, data: { originalError: { code: 4001 } } })).toBeInstanceOf(SignatureRefused);
});

test("after a reload only the same account counts, and nobody is asked", async () => {
  expect(await reconnect(wallet, ADDRESS)).not.toBeNull();
  expect(await reconnect(wallet, "0xf39Fd6e51aad88F6F4ce6aB8827279cffFb92266")).toBeNull();
  expect(provider.methods()).toEqual(["eth_accounts", "eth_accounts"]);
});

test("a text is signed as bytes, by the account", async () => {
  provider.answers["personal_sign"] = "0x1234";
  const signer = await connect(wallet);
  expect(await signer.signMessage("héllo")).toBe("0x1234");
  expect(provider.calls.at(-1)?.params).toEqual(["0x68c3a96c6c6f", ADDRESS]);
});

test("a signature whose recovery counts from 0 is given as the exchange reads it", async () => {
  provider.answers["personal_sign"] = `0x${"ab".repeat(64)}01`;
  const signer = await connect(wallet);
  expect(await signer.signMessage("x")).toBe(`0x${"ab".repeat(64)}1c`);
});

test("an unknown chain is added before typed data is signed, which is whole JSON", async () => {
  provider.answers["wallet_switchEthereumChain"] = { code: 4902, message: "Unrecognized chain" };
  provider.answers["eth_signTypedData_v4"] = "0xabcd";
  const signer = await connect(wallet);
  const types = { Mail: [{ name: "amount", type: "uint256" }] } as const;
  const data = { domain: { name: "Vault", chainId: 31337 }, types, primaryType: "Mail", message: { amount: 5n } } as const;
  expect(await signer.signTypedData(data, { title: "t", lines: [] })).toBe("0xabcd");
  expect(provider.methods()).toEqual([
    "eth_requestAccounts",
    "eth_chainId",
    "wallet_switchEthereumChain",
    "wallet_addEthereumChain",
    "eth_chainId",
    "eth_accounts",
    "eth_signTypedData_v4",
  ]);
  const [, text] = provider.calls.at(-1)?.params as [string, string];
  const signed = JSON.parse(text) as { message: unknown; types: Record<string, unknown> };
  expect(signed.message).toEqual({ amount: "5" });
  expect(signed.types["EIP712Domain"]).toEqual([
    { name: "name", type: "string" },
    { name: "chainId", type: "uint256" },
  ]);
});

test("nothing is sent by a wallet that added the chain but stays on its own", async () => {
  provider.answers["wallet_switchEthereumChain"] = { code: 4902, message: "Unrecognized chain" };
  provider.follows = false;
  const signer = await connect(wallet);
  const send = signer.sendTransaction({ to: ADDRESS, value: 1n }, { title: "t", lines: [] });
  await expect(send).rejects.toThrow("another chain");
  expect(provider.methods()).not.toContain("eth_sendTransaction");
});

test("nothing is signed by another account than the connected one", async () => {
  provider.chainId = "0x7a69";
  const signer = await connect(wallet);
  provider.switchTo("0xf39Fd6e51aad88F6F4ce6aB8827279cffFb92266");
  const send = signer.sendTransaction({ to: ADDRESS, value: 1n }, { title: "t", lines: [] });
  await expect(send).rejects.toThrow(WalletFailed);
  expect(provider.methods()).not.toContain("eth_sendTransaction");
});

test("what is sent is known by its hash; another answer is not taken for one", async () => {
  provider.chainId = "0x7a69";
  const signer = await connect(wallet);
  const send = () => signer.sendTransaction({ to: ADDRESS, value: 1n }, { title: "t", lines: [] });
  provider.answers["eth_sendTransaction"] = `0x${"ab".repeat(32)}`;
  expect(await send()).toBe(`0x${"ab".repeat(32)}`);
  provider.answers["eth_sendTransaction"] = "0x1";
  await expect(send()).rejects.toThrow(/which transaction it has sent/);
  provider.answers["eth_sendTransaction"] = { hash: `0x${"ab".repeat(32)}` };
  await expect(send()).rejects.toThrow(WalletFailed);
});

test("a switch of accounts is told once", async () => {
  const gone = vi.fn();
  (await connect(wallet)).onGone(gone);
  provider.switchTo(ADDRESS);
  expect(gone).not.toHaveBeenCalled();
  provider.switchTo();
  provider.switchTo();
  expect(gone).toHaveBeenCalledOnce();
});

test("announcements that are none are not listed, and pictures from elsewhere not shown", () => {
  const info = { uuid: "1", name: "W", icon: "https://example.com/x.png", rdns: "w" };
  expect(parseAnnouncement({ info, provider })?.icon).toBeNull();
  expect(parseAnnouncement({ info: { ...info, name: "" }, provider })).toBeNull();
  expect(parseAnnouncement({ info, provider: {} })).toBeNull();
  expect(parseAnnouncement(null)).toBeNull();
});
