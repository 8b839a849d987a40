import { beforeEach, describe, expect, it, vi } from "vitest";

type Asked = { interval: string; limit: number; to?: number };

const { get, told } = vi.hoisted(() => ({
  get: vi.fn(),
  told: { follower: (_: unknown): void => undefined },
}));
vi.mock("../api/client", () => ({ api: { get } }));
vi.mock("../stream/stream", () => ({
  stream: {
    subscribe: (_: unknown, follower: (message: unknown) => void) => {
      told.follower = follower;
      return () => undefined;
    },
  },
}));
vi.mock("./frame", () => ({ paced: (publish: () => void) => publish }));

import { CandleFeed } from "./candle-feed";
import type { Candle } from "./candles";

const MINUTE = 60_000;

function candles(from: number, to: number): Candle[] {
  return Array.from({ length: to - from + 1 }, (_, at) => ({
    open_ms: (from + at) * MINUTE,
    open: "10",
    high: "10",
    low: "10",
    close: "10",
    volume: "1",
    quote_volume: "10",
    trades: 1,
  }));
}

/** The exchange has the candles up to this minute, from 1 on. */
let newest = 0;

function page({ limit, to }: Asked): Promise<{ items: Candle[] }> {
  const last = to === undefined ? newest : to / MINUTE - 1;
  const items = candles(Math.max(1, last - limit + 1), last);
  // One of older candles comes later than one of the newest that was asked for meanwhile.
  return to === undefined ? Promise.resolve({ items }) : settled().then(() => ({ items }));
}

function minutes(feed: CandleFeed): number[] {
  return feed.series.candles.map((each) => each.open_ms / MINUTE);
}

async function settled(): Promise<void> {
  for (let turn = 0; turn < 20; turn += 1) await Promise.resolve();
}

/** A feed that has its first page and the stream's first snapshot. */
async function begun(at: number): Promise<CandleFeed> {
  newest = at;
  const feed = new CandleFeed("ETH-USDC", "1m", { onChange: () => undefined, onState: () => undefined });
  feed.start();
  told.follower({ kind: "snapshot", data: candles(newest - 1, newest) });
  await settled();
  return feed;
}

/** Connected again: the snapshot has the last two. */
async function cameBackAt(at: number): Promise<void> {
  newest = at;
  told.follower({ kind: "snapshot", data: candles(newest - 1, newest) });
  await settled();
}

beforeEach(() => {
  get.mockReset();
  get.mockImplementation((_: string, query: Asked) => page(query));
});

describe("a feed of candles", () => {
  it("has what it missed while the connection was lost", async () => {
    const feed = await begun(600);
    await cameBackAt(700);
    expect(minutes(feed)).toEqual(candles(101, 700).map((each) => each.open_ms / MINUTE));
  });

  it("leaves no hole when more was missed than a page has", async () => {
    const feed = await begun(600);
    await cameBackAt(2_000);
    expect(minutes(feed)).toEqual(candles(1_501, 2_000).map((each) => each.open_ms / MINUTE));
    await feed.loadOlder();
    expect(minutes(feed)[0]).toBe(501);
    expect(minutes(feed)).toHaveLength(1_500);
  });

  it("does not take a page that was asked for before the hole", async () => {
    const feed = await begun(600);
    const older = feed.loadOlder();
    await cameBackAt(2_000);
    await older;
    expect(minutes(feed)[0]).toBe(1_501);
  });

  it("asks for what is older again when it began with all there was", async () => {
    const feed = await begun(20);
    await cameBackAt(2_000);
    await feed.loadOlder();
    expect(minutes(feed)[0]).toBe(501);
  });
});
