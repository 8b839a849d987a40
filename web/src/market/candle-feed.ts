/** The candles of a market and interval: pages of history as they are asked for, and the newest from the stream. */

import { api, type Schemas } from "../api/client";
import { stream, type StreamMessage } from "../stream/stream";
import { type Candle, CandleSeries, type Changed, type Interval } from "./candles";
import { paced } from "./frame";

const FIRST_PAGE = 500;
const OLDER_PAGE = 1_000;
const RETRY_MS = 3_000;
const PUBLISHED_EVERY_MS = 100;

export interface FeedListener {
  /** With a frame, a few times a second at most. */
  onChange(changed: Changed): void;
  /** The first page has come (also an empty one), or could not be had: then it is tried again. */
  onState(state: "ready" | "failed"): void;
}

export class CandleFeed {
  readonly series = new CandleSeries();
  private waiting: Candle[] = [];
  private isStopped = false;
  private isLoading = false;
  private isComplete = false;
  private isReady = false;
  private hasSnapshot = false;
  private unsubscribe: (() => void) | null = null;
  private readonly onTaken = paced(() => this.publish(), PUBLISHED_EVERY_MS);
  private retry: ReturnType<typeof setTimeout> | undefined;

  constructor(
    readonly market: string,
    readonly interval: Interval,
    private readonly listener: FeedListener,
  ) {}

  /** Whether there is no candle, shown or about to be. */
  get isEmpty(): boolean {
    return this.series.candles.length === 0 && this.waiting.length === 0;
  }

  start(): void {
    const subject = { channel: "candles", market: this.market, interval: this.interval } as const;
    this.unsubscribe = stream.subscribe<Candle[]>(subject, (message) => this.onMessage(message));
    void this.loadNewest();
  }

  stop(): void {
    this.isStopped = true;
    clearTimeout(this.retry);
    this.unsubscribe?.();
  }

  /** The page before the oldest candle there is; does nothing while one is on its way, or when there is no more. */
  async loadOlder(): Promise<void> {
    const first = this.series.first;
    if (this.isLoading || this.isComplete || !this.isReady || first === undefined) return;
    this.isLoading = true;
    try {
      const items = await this.page({ to: first.open_ms, limit: OLDER_PAGE });
      if (this.series.first?.open_ms !== first.open_ms) return; // what it was to come before is there no more
      if (items.length === 0) this.isComplete = true;
      else this.take(items);
    } catch {
      // Scrolling on asks again.
    } finally {
      this.isLoading = false;
    }
  }

  private async loadNewest(): Promise<void> {
    try {
      const items = await this.page({ limit: FIRST_PAGE });
      if (this.isStopped) return;
      if (!this.isReady && items.length < FIRST_PAGE) this.isComplete = true;
      if (this.isReady) this.leaveNoHole(items);
      this.isReady = true;
      this.take(items);
      this.listener.onState("ready");
    } catch {
      if (this.isStopped) return;
      if (!this.isReady) this.listener.onState("failed");
      clearTimeout(this.retry); // one that waits is enough, however often the connection was lost meanwhile
      this.retry = setTimeout(() => void this.loadNewest(), RETRY_MS);
    }
  }

  /**
   * More may have been missed than a page has. When what is held does not reach to the page of the newest, nobody knows
   * what lies between: it is asked for again when it is scrolled to.
   */
  private leaveNoHole(newest: readonly Candle[]): void {
    const oldest = newest[0];
    if (oldest === undefined || newest.length < FIRST_PAGE || this.series.has(oldest.open_ms)) return;
    this.series.beginAt(oldest.open_ms);
    this.isComplete = false;
  }

  private async page(query: Record<string, number>): Promise<Candle[]> {
    const path = `/v1/markets/${encodeURIComponent(this.market)}/candles`;
    const answer = await api.get<Schemas["CandlesAnswer"]>(path, { interval: this.interval, ...query });
    return answer.items;
  }

  private onMessage(message: StreamMessage<Candle[]>): void {
    if (message.kind === "ended") return;
    if (message.kind === "snapshot") {
      // A later one has the last two only: what came before them may have been missed.
      if (this.hasSnapshot) void this.loadNewest();
      this.hasSnapshot = true;
    }
    this.take(message.data);
  }

  private take(candles: readonly Candle[]): void {
    if (this.isStopped) return;
    this.waiting.push(...candles);
    this.onTaken();
  }

  private publish(): void {
    if (this.isStopped || !this.isReady) return; // what came early is shown with the first page
    const changed = this.series.merge(this.waiting);
    this.waiting = [];
    if (changed.kind !== "nothing") this.listener.onChange(changed);
  }
}
