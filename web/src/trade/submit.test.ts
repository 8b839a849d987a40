import { expect, it, vi } from "vitest";

vi.mock("../agent/agent", () => ({ agent: {} }));
vi.mock("../stream/stream", () => ({ stream: { subscribe: () => () => undefined } }));
vi.mock("../session", () => ({ useSession: () => ({ status: "signed-out" }) }));

import { paidText } from "./submit";

it("what was traded is told with all that it came to, exactly", () => {
  const fills = [
    { amount: "300.1", fee: "0.3001" },
    { amount: "1000000.000001", fee: "1000.2" },
  ];
  expect(paidText(fills, "USDC")).toBe("For 1,000,300.100001 USDC, fee 1,000.5001");
  expect(paidText([{ amount: "10", fee: "-0.02" }], "USDC")).toBe("For 10 USDC, rebate 0.02");
  expect(paidText([], "USDC")).toBeUndefined();
});
