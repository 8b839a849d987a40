/** A text for a camera: dark on white in both themes, as not every camera reads it the other way round. */

import { type ReactElement, useMemo } from "react";
import { encode } from "uqr";

export interface QrCodeProps {
  value: string;
  /** What it holds: "Deposit address" */
  label: string;
  size?: number | undefined;
}

export function QrCode({ value, label, size = 176 }: QrCodeProps): ReactElement {
  const code = useMemo(() => encode(value, { ecc: "M", border: 2 }), [value]);
  const path = useMemo(() => pathOf(code.data), [code]);
  return (
    <svg
      className="qr-code"
      width={size}
      height={size}
      viewBox={`0 0 ${code.size} ${code.size}`}
      role="img"
      aria-label={`QR code: ${label}`}
      shapeRendering="crispEdges"
    >
      <rect width={code.size} height={code.size} fill="#ffffff" />
      <path d={path} fill="#0b0e13" />
    </svg>
  );
}

/** One rectangle for each run of dark modules in a line. */
export function pathOf(rows: readonly (readonly boolean[])[]): string {
  let path = "";
  rows.forEach((row, y) => {
    for (let x = 0; x < row.length; x++) {
      if (row[x] !== true) continue;
      const start = x;
      while (row[x + 1] === true) x++;
      path += `M${start} ${y}h${x - start + 1}v1H${start}z`;
    }
  });
  return path;
}
