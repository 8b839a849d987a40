/** What stands where something is going to be: the same room, so that nothing moves when it comes. */

import "./feedback.css";

import type { ReactElement } from "react";

export interface SkeletonProps {
  /** CSS lengths; a line of text unless given */
  width?: string | undefined;
  height?: string | undefined;
  /** Several lines below each other */
  lines?: number | undefined;
}

export function Skeleton({ width = "100%", height = "1em", lines = 1 }: SkeletonProps): ReactElement {
  return (
    <span className="skeletons" aria-hidden="true">
      {Array.from({ length: lines }, (_, line) => (
        <span key={line} className="skeleton" style={{ width, height }} />
      ))}
    </span>
  );
}

/** For a whole page or panel. It shows only after a moment, so that what is quick does not flicker. */
export function Loading({ label = "Loading" }: { label?: string }): ReactElement {
  return (
    <div className="loading" role="status">
      <span className="spinner" aria-hidden="true" />
      <span className="muted">{label}</span>
    </div>
  );
}
