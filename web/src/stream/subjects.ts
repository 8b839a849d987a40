/** What can be subscribed to, and what its subscribers are told. */

export type PublicChannel = "book" | "bbo" | "trades" | "ticker" | "candles";
export type PrivateChannel = "orders" | "fills" | "balances" | "deposits" | "withdrawals";
export type ChannelName = PublicChannel | PrivateChannel;

/** One subscription: public ones name a market, candles an interval too, private ones a sub-account (0 unless said). */
export interface Subject {
  channel: ChannelName;
  market?: string | undefined;
  interval?: string | undefined;
  sub_account?: number | undefined;
}

/**
 * What a subscriber is told. A snapshot replaces everything it holds; an update changes it; `ended` says that
 * nothing more comes until somebody signs in, or at all: `code` says why.
 */
export interface StreamMessage<T> {
  kind: "snapshot" | "update" | "ended";
  seq: number;
  data: T;
  timeMs: number;
  code?: string;
}

const OF_A_SUB_ACCOUNT: ReadonlySet<ChannelName> = new Set<ChannelName>(["orders", "fills", "balances"]);
const PRIVATE: ReadonlySet<ChannelName> = new Set<ChannelName>([...OF_A_SUB_ACCOUNT, "deposits", "withdrawals"]);

export function isPrivate(channel: ChannelName): boolean {
  return PRIVATE.has(channel);
}

/** The fields that a request about it has, and no others: the exchange refuses what it does not know. */
export function parametersOf(subject: Subject): Record<string, string | number> {
  const { channel, market, interval, sub_account } = subject;
  if (OF_A_SUB_ACCOUNT.has(channel)) return { channel, sub_account: sub_account ?? 0 };
  if (PRIVATE.has(channel)) return { channel };
  const parameters: Record<string, string | number> = { channel, market: market ?? "" };
  if (channel === "candles") parameters["interval"] = interval ?? "";
  return parameters;
}

/** Equal for the same subscription, from a request as from a frame. */
export function keyOf(subject: Subject): string {
  return Object.values(parametersOf(subject)).join(" ");
}
