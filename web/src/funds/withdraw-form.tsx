/** What a withdrawal is made of, with what it costs, and what is wrong with it beside the field at fault. */

import { useQuery } from "@tanstack/react-query";
import { type FormEvent, type ReactElement, useEffect, useState } from "react";
import { type Address, getAddress } from "viem";

import { api, ApiProblem, type Schemas } from "../api/client";
import type { Deployment } from "../api/deployment";
import { compare, fromUnits, grouped } from "../numbers";
import { useBalances } from "../trade/balances";
import { Button } from "../ui/button";
import { Field } from "../ui/field";
import { Money } from "../ui/money";
import { Select } from "../ui/select";
import { TextInput } from "../ui/text-input";
import { toast } from "../ui/toast";
import { SignatureRefused } from "../wallet/signer";
import { afterFee, readAmount, shortened } from "./amount";
import type { Asset } from "./assets";
import { useLater } from "./later";
import { useOwnSigner } from "./own-signer";
import { inWords, refusal } from "./problem-text";
import { timeOf } from "./steps";
import { NATIVE } from "./vault-abi";
import { DestinationField, destinationOf, useDestinationRule } from "./withdraw-destination";
import { refusalFor, startWithdrawal, type WithdrawalRun } from "./withdrawal-runs";

type Quote = Schemas["WithdrawalQuoteAnswer"];

export interface Draft {
  asset: string;
  amount: string;
  /** Null: the person's own wallet. */
  destination: string | null;
}

interface Props {
  assets: Asset[];
  deployment: Deployment;
  owner: string;
  draft: Draft;
  onDraft(draft: Draft): void;
  /** The last attempt, when it came to nothing. */
  refused: WithdrawalRun | null;
  onStarted(run: number): void;
}

export function WithdrawForm(props: Props): ReactElement {
  const { assets, deployment, owner, draft, onDraft, refused, onStarted } = props;
  const balances = useBalances();
  const rule = useDestinationRule();
  const request = useOwnSigner();
  const [isTried, setIsTried] = useState(false);
  const [busy, setBusy] = useState(false);
  const [pressedFor, setPressedFor] = useState<string | null>(null);

  const held = assets.find((each) => compare(balances?.get(each.symbol)?.available ?? "0", "0") > 0);
  const asset = assets.find((each) => each.symbol === draft.asset) ?? held ?? assets[0] ?? null;
  const available = balances === null || asset === null ? null : (balances.get(asset.symbol)?.available ?? "0");
  const symbol = asset?.symbol ?? "";
  const amount = readAmount(draft.amount, asset?.decimals ?? 0, symbol);
  const destination = destinationOf(draft.destination, owner, asset, deployment);
  const wanted =
    asset !== null && "text" in amount && destination.address !== null
      ? { asset: asset.symbol, amount: amount.text, destination: destination.address }
      : null;
  const { quote, error: quoteError, again } = useQuote(useLater(wanted, 250), owner);
  const isCurrent = quote !== null && wanted !== null && isFor(quote, wanted);

  const code = isCurrent ? quote.refusals[0] : undefined;
  const problem = code !== undefined ? refusal(code) : quoteError !== null && wanted !== null ? inWords(quoteError) : null;
  const last = refusalFor(refused, symbol, draft.amount);
  const amountProblem =
    ("problem" in amount ? (amount.problem ?? (isTried ? "Enter an amount." : null)) : tooMuch(amount.text, available, symbol)) ??
    amountWords(problem, quote, symbol);
  const destinationProblem = (isTried || destination.isWhole ? destination.problem : null) ?? wordsFor("destination", problem, last);
  const otherProblem = wordsFor(null, problem, last);

  // What was refused before may be tried again as it is. Who presses before the quote of what was typed has come does not press in vain.
  function submit(event: FormEvent): void {
    event.preventDefault();
    setIsTried(true);
    if (!busy && wanted !== null && amountProblem === null) setPressedFor(JSON.stringify(wanted));
    if (code !== undefined) again(); // what was refused may be allowed by now
  }
  const isPressed = pressedFor !== null && pressedFor === JSON.stringify(wanted);
  const isAnswered = isCurrent || quoteError !== null;
  useEffect(() => {
    if (!isPressed || !isAnswered) return;
    setPressedFor(null);
    if (isCurrent && code === undefined) void withdraw();
  });

  async function withdraw(): Promise<void> {
    if (busy || asset === null || wanted === null || quote === null) return;
    setBusy(true);
    try {
      const signer = await request();
      const account = getAddress(owner);
      const order = { signer, deployment, asset, amount: wanted.amount, destination: wanted.destination, account, maxFee: quote.max_fee };
      onStarted(startWithdrawal(order));
    } catch (error) {
      if (!(error instanceof SignatureRefused)) toast("error", "Nothing was withdrawn", inWords(error).text);
    } finally {
      setBusy(false);
    }
  }

  if (asset === null) return <p className="note">No asset is listed yet.</p>;
  return (
    <form className="stack funds-form" noValidate onSubmit={submit}>
      <Field label="Asset">
        <Select
          value={asset.symbol}
          options={assets.map((each) => ({ value: each.symbol, label: each.symbol }))}
          onChange={(symbol) => onDraft({ ...draft, asset: symbol, amount: "" })}
        />
      </Field>
      <Field
        label="Amount"
        reserve
        error={amountProblem ?? (last?.field === "amount" ? last.text : null)}
        hint={leastText(quote !== null && quote.asset === asset.symbol ? quote.minimum : asset.min_withdrawal, asset)}
        aside={<>Available: <Money value={available} asset={asset.symbol} /></>}
      >
        <TextInput
          inputMode="decimal"
          placeholder="0"
          value={draft.amount}
          onChange={(typed) => onDraft({ ...draft, amount: typed })}
          suffix={
            <>
              <Button kind="plain" size="s" disabled={available === null} onClick={() => onDraft({ ...draft, amount: available ?? "" })}>
                Max
              </Button>
              {asset.symbol}
            </>
          }
        />
      </Field>
      <DestinationField
        owner={owner as Address}
        deployment={deployment}
        rule={rule}
        value={draft.destination}
        error={destinationProblem}
        onChange={(value) => onDraft({ ...draft, destination: value })}
      />
      <Costs
        quote={quote !== null && quote.asset === asset.symbol && "text" in amount ? quote : null}
        amount={"text" in amount ? amount.text : null}
        asset={asset}
        assets={assets}
      />
      {otherProblem !== null && <p className="note bad" role="alert">{otherProblem}</p>}
      {refused?.stage === "cancelled" && <p className="note" role="status">You did not sign. Nothing was withdrawn.</p>}
      {(quote?.halted ?? deployment.withdrawals_halted) && (
        <p className="note warn">Payments stand still now. Yours would wait, and come back if it is not paid by its deadline.</p>
      )}
      {isCurrent && quote.reviewed && (
        <p className="note warn">A person looks at this one first{quote.review_reason === null ? "" : `: ${quote.review_reason}`}.</p>
      )}
      <Button kind="primary" size="l" block type="submit" busy={busy || isPressed}>
        {"text" in amount ? `Withdraw ${amount.text} ${asset.symbol}` : `Withdraw ${asset.symbol}`}
      </Button>
    </form>
  );
}

function useQuote(wanted: { asset: string; amount: string; destination: string } | null, owner: string): { quote: Quote | null; error: Error | null; again(): void } {
  const { data, error, refetch } = useQuery({
    queryKey: ["private", "withdrawal-quote", owner, wanted],
    enabled: wanted !== null,
    queryFn: () => api.get<Quote>("/v1/withdrawals/quote", wanted ?? {}),
    placeholderData: (before: Quote | undefined) => before, // so that nothing jumps while the next one comes
    refetchInterval: 10_000,
    retry: (failures, problem) => failures < 3 && !(problem instanceof ApiProblem),
  });
  return { quote: data ?? null, error, again: () => void refetch() };
}

/** A quote that is still shown while the next one comes is about something else. */
export function isFor(quote: Quote, wanted: { asset: string; amount: string; destination: string }): boolean {
  if (quote.asset !== wanted.asset || quote.destination === null) return false;
  if (quote.destination.address.toLowerCase() !== wanted.destination.toLowerCase()) return false;
  return compare(quote.amount, wanted.amount) === 0;
}

/** Where the least is the smallest unit there is nothing to say. */
function leastText(least: string, asset: Asset): string | null {
  return compare(least, fromUnits(1n, asset.decimals)) <= 0 ? null : `At least ${least} ${asset.symbol}`;
}

function tooMuch(amount: string, available: string | null, symbol: string): string | null {
  if (available === null || compare(amount, available) <= 0) return null;
  return `You have ${grouped(available)} ${symbol} available.`;
}

type Words = { field: string | null; text: string } | null;

function amountWords(problem: Words, quote: Quote | null, symbol: string): string | null {
  if (problem?.field !== "amount") return null;
  const isLess = quote?.refusals[0] === "withdrawal_too_small";
  return isLess ? `The least is ${quote?.minimum ?? ""} ${symbol}, the fee included.` : problem.text;
}

function wordsFor(field: "destination" | null, ...problems: Words[]): string | null {
  return problems.find((each) => each !== null && (field === null ? each.field !== "amount" && each.field !== "destination" : each.field === field))?.text ?? null;
}

/** A quote may still be that of another amount: what arrives is of what is entered now. */
function Costs({ quote, amount, asset, assets }: { quote: Quote | null; amount: string | null; asset: Asset; assets: Asset[] }): ReactElement {
  const coin = assets.find((each) => each.token === NATIVE)?.symbol ?? "";
  const fee = quote?.fee ?? asset.withdrawal_fee;
  const network = quote?.network ?? null;
  const waits = quote?.destination?.active_at_ms ?? null;
  return (
    <dl className="facts">
      <div>
        <dt>Fee</dt>
        <dd>
          <Money value={fee} asset={asset.symbol} />
          {quote !== null && compare(quote.max_fee, quote.fee) > 0 && <span className="muted"> (at most {quote.max_fee})</span>}
        </dd>
      </div>
      <div>
        <dt>You receive</dt>
        <dd className="strong"><Money value={amount === null ? null : afterFee(amount, fee)} asset={asset.symbol} /></dd>
      </div>
      <div>
        <dt>Network cost, paid by the exchange</dt>
        <dd><Money value={network === null ? null : fromUnits(shortened(BigInt(network.cost_wei)), 18)} asset={coin} /></dd>
      </div>
      {waits !== null && (
        <div>
          <dt>This address may be used from</dt>
          <dd>{timeOf(Math.ceil(waits / 1_000))}</dd>
        </div>
      )}
    </dl>
  );
}
