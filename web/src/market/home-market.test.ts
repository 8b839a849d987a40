import { beforeEach, expect, it, vi } from "vitest";

const storage = new Map<string, string>();
vi.stubGlobal("localStorage", {
  getItem: (key: string) => storage.get(key) ?? null,
  setItem: (key: string, value: string) => void storage.set(key, value),
});
const answers = new Map<string, unknown[]>();
vi.stubGlobal("fetch", (path: string) =>
  Promise.resolve(answers.has(path) ? Response.json({ items: answers.get(path) }) : new Response("", { status: 503 })),
);

const MARKETS = [
  { symbol: "DAI-EUR", quote: "EUR" },
  { symbol: "SOL-USDC", quote: "USDC" },
  { symbol: "ETH-USDC", quote: "USDC" },
];

async function fresh(): Promise<typeof import("./home-market")> {
  vi.resetModules();
  return import("./home-market");
}

beforeEach(() => {
  storage.clear();
  answers.clear();
});

it("is the one that was looked at last", async () => {
  const { homeMarket, rememberMarket } = await fresh();
  expect(homeMarket()).toBeNull();
  rememberMarket("SOL-USDC");
  expect((await fresh()).homeMarket()).toBe("SOL-USDC");
  storage.set("market", "<b>");
  expect((await fresh()).homeMarket()).toBeNull();
});

it("is the one of the most value, of those quoted as most are", async () => {
  const { busiest } = await fresh();
  const traded = [
    { market: "DAI-EUR", quote_volume: "999999" },
    { market: "SOL-USDC", quote_volume: "99.5" },
    { market: "ETH-USDC", quote_volume: "100.25" },
  ];
  expect(busiest(MARKETS, traded)).toBe("ETH-USDC");
  expect(busiest(MARKETS, [])).toBe("SOL-USDC");
  expect(busiest([], traded)).toBeNull();
});

it("is found without the tickers, too, and none where no answer comes", async () => {
  const { findHomeMarket, homeMarket } = await fresh();
  await expect(findHomeMarket()).rejects.toThrow("503");
  expect(homeMarket()).toBeNull();
  answers.set("/v1/markets", MARKETS);
  await findHomeMarket();
  expect(homeMarket()).toBe("SOL-USDC");
  expect(storage.size).toBe(0);
});

it("stays the one that is looked at while it is being found", async () => {
  const { findHomeMarket, homeMarket, rememberMarket } = await fresh();
  answers.set("/v1/markets", MARKETS);
  const found = findHomeMarket();
  rememberMarket("ETH-USDC");
  await found;
  expect(homeMarket()).toBe("ETH-USDC");
});
