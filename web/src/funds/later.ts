/** The value as it was when it last stayed the same for a while: so that not every key asks the server. */

import { useEffect, useRef, useState } from "react";

export function useLater<T>(value: T, ms: number): T {
  const [settled, setSettled] = useState(value);
  const text = JSON.stringify(value);
  const newest = useRef(value);
  newest.current = value;
  useEffect(() => {
    const timer = setTimeout(() => setSettled(newest.current), ms);
    return () => clearTimeout(timer);
  }, [text, ms]);
  return settled;
}
