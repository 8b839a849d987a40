/** Whether what is shown is true now: in words and by shape, not by colour alone. */

import { type ReactElement, useEffect, useState, useSyncExternalStore } from "react";

import { useHomeMarket } from "../market/markets";
import { stream, type StreamStatus } from "../stream/stream";

type State = StreamStatus["state"];

const WORDS: Record<State, string> = { live: "Live", connecting: "Connecting", stale: "Stale", offline: "Offline" };

const MEANING: Record<State, string> = {
  live: "Prices are up to date.",
  connecting: "Connecting to the exchange.",
  stale: "Nothing has come for some seconds: prices may be old.",
  offline: "No connection to the exchange: prices are old. It is tried again by itself.",
};

/** Shorter interruptions than this are over before one has read of them. */
const TELL_AFTER_MS = 1_500;

export function useConnection(): StreamStatus {
  const home = useHomeMarket();
  useEffect(() => followAnything(home), [home]);
  return useSyncExternalStore(stream.status.subscribe, stream.status.get);
}

/** The stream opens when something is followed; on a page that follows nothing this is it. */
function followAnything(market: string | null): (() => void) | undefined {
  return market === null ? undefined : stream.subscribe({ channel: "ticker", market }, () => undefined);
}

export function Connection(): ReactElement {
  const { state, latencyMs } = useConnection();
  return (
    <div className="connection" data-state={state} title={MEANING[state]}>
      <span className="connection-sign" aria-hidden="true" />
      <span role="status">{WORDS[state]}</span>
      <span className="connection-latency num" aria-label={latencyMs === null ? undefined : `Latency ${latencyMs} milliseconds`}>
        {state === "live" && latencyMs !== null && `${latencyMs} ms`}
      </span>
    </div>
  );
}

/** Lies over the top of the page, so that nothing moves, as long as prices may be old. */
export function ConnectionBanner(): ReactElement | null {
  const { state, lastMessageMs } = useConnection();
  const isOld = state === "offline" || (state !== "live" && lastMessageMs > 0);
  const [told, setTold] = useState(false);
  useEffect(() => {
    const timer = setTimeout(() => setTold(isOld), isOld ? TELL_AFTER_MS : 0);
    return () => clearTimeout(timer);
  }, [isOld]);
  if (!told || !isOld) return null;
  if (lastMessageMs === 0) {
    return (
      <div className="connection-banner" role="alert">
        The exchange can not be reached. Trying again.
      </div>
    );
  }
  const since = new Date(lastMessageMs).toLocaleTimeString();
  return (
    <div className="connection-banner" role="alert">
      {state === "stale" ? "Nothing new from the exchange" : "Connection lost"}. Prices are as of{" "}
      <span className="num">{since}</span>. Trying again.
    </div>
  );
}
