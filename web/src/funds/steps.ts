/** The steps that a deposit or a withdrawal goes through, in words. Pure. */

import type { Schemas } from "../api/client";
import { grouped } from "../numbers";

export type Deposit = Schemas["DepositItem"];
export type Withdrawal = Schemas["WithdrawalItem"];

/** "now": this is what it waits for. "skipped" never comes any more. */
export type StepState = "done" | "now" | "later" | "failed" | "skipped";

export interface Step {
  id: string;
  title: string;
  state: StepState;
  detail?: string;
  txHash?: string;
}

/** A deposit that was begun in this page. The exchange knows of it once it is in a block. */
export interface DepositRun {
  id: number;
  /** Whose it is: somebody else may sign in on the same page. */
  owner: string;
  asset: string;
  amount: string;
  startedMs: number;
  /** How the vault is allowed to take a token; null where it needs no leave, or nobody has looked yet. */
  allowance: "permit" | "approve" | null;
  stage: "checking" | "allowing" | "allowance-block" | "wallet" | "sent" | "mined" | "failed" | "cancelled" | Reloaded;
  allowanceHash: string | null;
  txHash: string | null;
  /** Why it failed, in words. */
  failure: string | null;
  /** The stage in which it failed or was cancelled. */
  endedIn: DepositRun["stage"] | null;
  /** Whether the exchange has shown it. */
  isListed: boolean;
}

/** "recalled": sent before the page was loaded again. "unheard": and the chain's node does not know of it now. */
type Reloaded = "recalled" | "unheard";

const BEFORE_WALLET = new Set<DepositRun["stage"]>(["checking", "allowing", "allowance-block"]);

/** `run` is null for a deposit that was made elsewhere, `item` until the exchange has seen it. */
export function depositSteps(run: DepositRun | null, item: Deposit | null): Step[] {
  return [...allowanceSteps(run), walletStep(run), ...chainSteps(run, item)];
}

function allowanceSteps(run: DepositRun | null): Step[] {
  if (run === null || run.allowance === null) return [];
  const title = `Let the vault take ${grouped(run.amount)} ${run.asset}`;
  const step: Step = { id: "allowance", title, state: "done" };
  if (run.allowanceHash !== null) step.txHash = run.allowanceHash;
  if (run.stage === "allowing") {
    step.state = "now";
    step.detail = run.allowance === "permit" ? "Sign in your wallet. It costs nothing." : "Confirm in your wallet.";
  } else if (run.stage === "allowance-block") {
    step.state = "now";
    step.detail = "Sent. It waits for a block.";
  } else if (run.stage === "checking") {
    step.state = "later";
  } else if (endedBeforeWallet(run)) {
    step.state = "failed";
    step.detail = whyNot(run);
  }
  return [step];
}

function walletStep(run: DepositRun | null): Step {
  const step: Step = { id: "wallet", title: "Confirm in your wallet", state: "done" };
  if (run === null || run.txHash !== null) return step;
  if (run.allowance !== null && endedBeforeWallet(run)) return { ...step, state: "skipped" };
  if (run.stage === "failed" || run.stage === "cancelled") return { ...step, state: "failed", detail: whyNot(run) };
  if (BEFORE_WALLET.has(run.stage)) return { ...step, state: run.allowance === null ? "now" : "later" };
  return { ...step, state: "now", detail: "Your wallet shows the amount and the network fee." };
}

function endedBeforeWallet(run: DepositRun): boolean {
  return run.endedIn !== null && BEFORE_WALLET.has(run.endedIn);
}

function whyNot(run: DepositRun): string {
  return run.failure ?? "You did not confirm it. Nothing was deposited.";
}

function told(detail: string | null): { detail?: string } {
  return detail === null ? {} : { detail };
}

function chainSteps(run: DepositRun | null, item: Deposit | null): Step[] {
  const txHash = item?.tx_hash ?? run?.txHash ?? null;
  const hash = txHash === null ? {} : { txHash };
  const ended = run !== null && item === null && (run.stage === "failed" || run.stage === "cancelled");
  const coming: StepState = ended ? "skipped" : "later";
  const seen: Step = { id: "seen", title: "Seen on the chain", state: coming, ...hash };
  const confirmed: Step = { id: "confirmed", title: "Confirmations", state: coming };
  const credited: Step = { id: "credited", title: "Credited to your balance", state: coming };
  if (item === null) {
    if (txHash !== null) {
      if (run?.stage === "failed") return [{ ...seen, state: "failed", ...told(run.failure) }, confirmed, credited];
      seen.state = "now";
      seen.detail = SENT[run?.stage ?? "sent"] ?? SENT.sent;
    }
    return [seen, confirmed, credited];
  }
  seen.state = "done";
  seen.detail = `In block ${item.block_number}`;
  const isCredited = item.status === "credited";
  confirmed.title = confirmationsTitle(item);
  confirmed.state = isCredited ? "done" : "now";
  if (!isCredited) confirmed.detail = confirmationsDetail(item.required_confirmations);
  credited.state = isCredited ? "done" : "later";
  return [seen, confirmed, credited];
}

const SENT: Partial<Record<DepositRun["stage"], string>> & { sent: string } = {
  sent: "Sent. It waits for a block.",
  mined: "In a block. The exchange reads it now.",
  recalled: "Sent before this page was loaded again. What became of it is not known here yet.",
  unheard:
    "Sent before this page was loaded again, but the chain's node does not know of it now. It was dropped, or replaced by your wallet: look there before you send it again.",
};

function confirmationsTitle(item: Deposit): string {
  const required = item.required_confirmations;
  if (required === null) return item.status === "credited" ? "Final on the chain" : "Waits until the chain calls it final";
  const shown = item.status === "credited" ? required : Math.min(item.confirmations, required);
  return `${shown} of ${required} confirmations`;
}

function confirmationsDetail(required: number | null): string {
  return required === null ? "Then nothing can take the block back." : "Each new block on top of it counts as one.";
}

// ---- withdrawals

/** How many blocks a payment has on top of it, its own included; `required` null: until it is final. */
export interface Confirmations {
  have: number | null;
  required: number | null;
}

const ORDER = ["requested", "approved", "signed", "broadcast", "mined", "settled"] as const;
const TITLES: Record<(typeof ORDER)[number], string> = {
  requested: "Requested",
  approved: "Approved",
  signed: "Payment signed",
  broadcast: "Sent to the chain",
  mined: "In a block",
  settled: "Settled",
};

/** Whether nothing more happens to it. A claimable one is settled for the exchange. */
export function isFinal(item: Withdrawal): boolean {
  return item.status === "settled" || item.status === "refunded";
}

/** `isClaimed`: what could not be delivered is known to have been fetched from the vault. */
export function withdrawalSteps(item: Withdrawal, confirmations: Confirmations, halted: boolean, isClaimed = false): Step[] {
  if (item.status === "refunded") return refundedSteps(item);
  if (item.status === "rejected") return rejectedSteps(item);
  const inReview = item.status === "review";
  const reached = inReview ? 0 : ORDER.findIndex((status) => status === item.status);
  const steps = ORDER.map((status, index): Step => {
    const state: StepState = index <= reached ? "done" : index === reached + 1 && !inReview ? "now" : "later";
    return { id: status, title: TITLES[status], state };
  });
  if (inReview) {
    const detail = `${item.reason === null ? "" : `${sentence(item.reason)} `}If nobody decides until ${timeOf(item.deadline_s)}, the whole amount comes back.`;
    steps.splice(1, 0, { id: "review", title: "A person looks at it first", state: "now", detail });
  }
  const now = steps.find((step) => step.state === "now" && step.id !== "review");
  if (now !== undefined) now.detail = waitsFor(item, confirmations, halted);
  const sent = steps.find((step) => step.id === "broadcast");
  if (sent !== undefined && item.tx_hash !== null) sent.txHash = item.tx_hash;
  const settled = steps.at(-1);
  if (settled !== undefined && item.status === "settled") {
    if (item.outcome === "claimable") Object.assign(settled, undelivered(isClaimed));
    else settled.detail = "The destination has it.";
  }
  return steps;
}

function undelivered(isClaimed: boolean): Omit<Step, "id"> {
  const failed = "The destination did not take it.";
  if (isClaimed) return { title: "Claimed from the vault", state: "done", detail: `${failed} You have fetched the amount.` };
  return { title: "Kept for you in the vault", state: "now", detail: `${failed} Claim the amount: it goes to your own wallet.` };
}

function waitsFor(item: Withdrawal, confirmations: Confirmations, halted: boolean): string {
  switch (item.status) {
    case "requested":
      return item.reason === null ? "The exchange checks it." : `It waits: ${item.reason}.`;
    case "approved":
      return halted
        ? `Payments stand still now. If they still do at ${timeOf(item.deadline_s)}, the whole amount comes back.`
        : "The exchange prepares the payment.";
    case "signed":
      return "The payment is signed and is sent next.";
    case "broadcast":
      return "It waits for a block.";
    case "mined":
      return confirmationsOf(confirmations);
    default:
      return "It is on its way.";
  }
}

function confirmationsOf({ have, required }: Confirmations): string {
  if (required === null) return "It waits until the chain calls the block final.";
  if (have === null) return `It waits for ${required} confirmations.`;
  return `${Math.min(have, required)} of ${required} confirmations`;
}

function rejectedSteps(item: Withdrawal): Step[] {
  const why = item.reason === null ? "" : `${sentence(item.reason)} `;
  return [
    { id: "requested", title: "Requested", state: "done" },
    { id: "rejected", title: "Rejected", state: "failed", detail: `${why}It will not be paid.` },
    {
      id: "refunded",
      title: "The whole amount comes back",
      state: "now",
      detail: `After ${timeOf(item.deadline_s)}, once the vault can not pay it any more.`,
    },
  ];
}

/** A reason is the word of the person who rejected it. */
function refundedSteps({ reason }: Withdrawal): Step[] {
  return [
    { id: "requested", title: "Requested", state: "done" },
    reason === null
      ? { id: "unpaid", title: "Not paid before its deadline", state: "failed" }
      : { id: "rejected", title: "Rejected", state: "failed", detail: sentence(reason) },
    { id: "refunded", title: "The whole amount is back in your balance", state: "done", detail: "The vault can never pay it now." },
  ];
}

/** The server's reason as a sentence. */
export function sentence(text: string): string {
  const trimmed = text.trim();
  const first = trimmed.charAt(0).toUpperCase() + trimmed.slice(1);
  return /[.!?]$/.test(first) ? first : `${first}.`;
}

/** A point in time, for people; with the date when it is another day. */
export function timeOf(seconds: number, nowMs: number = Date.now()): string {
  const at = new Date(seconds * 1_000);
  const isToday = at.toDateString() === new Date(nowMs).toDateString();
  const time = at.toLocaleTimeString(undefined, { hour: "2-digit", minute: "2-digit" });
  return isToday ? time : `${at.toLocaleDateString(undefined, { day: "numeric", month: "short" })}, ${time}`;
}
