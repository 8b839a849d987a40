/** A transaction to send: what it is for, what leaves the wallet, what the network takes at most, then the unlock. */

import "./wallet.css";

import { useQuery } from "@tanstack/react-query";
import type { ReactElement } from "react";
import type { PublicClient } from "viem";

import { fromUnits } from "../numbers";
import { Button } from "../ui/button";
import { Dialog } from "../ui/dialog";
import { Skeleton } from "../ui/loading";
import type { Wallet } from "../vault/record";
import { chainClient } from "./chain";
import { PurposeFacts } from "./purpose-facts";
import type { Pending } from "./requests";
import { costOf, feeText, isAffordable, signAndSend, type TransactionCost } from "./transaction";
import { useUnlock } from "./unlock";
import { useGoneWithSession } from "./use-gone-with-session";
import { openVault } from "./wallets";
import { messageOf } from "./words";

const REFRESH_MS = 12_000;

interface Quote {
  client: PublicClient;
  cost: TransactionCost;
}

export function TransactionDialog({ pending, wallet }: { pending: Pending<"transaction">; wallet: Wallet }): ReactElement {
  const { transaction, purpose } = pending.request;
  const quote = useQuery<Quote>({
    queryKey: ["transaction-cost", pending.id],
    async queryFn() {
      const client = await chainClient();
      if (client === null) throw new Error("The exchange names no node that a transaction could be sent to");
      return { client, cost: await costOf(client, wallet.address, transaction) };
    },
    retry: false,
    refetchInterval: (query) => (query.state.status === "error" ? false : REFRESH_MS),
  });
  const cost = quote.data?.cost ?? null;
  const network = quote.data?.client.chain;
  const affordable = cost === null || isAffordable(transaction, cost);
  const unlock = useUnlock({
    wallet,
    verb: "Sign and send",
    disabled: cost === null || !affordable || quote.isError,
    async onUnlock(by) {
      const { client, cost: agreed } = quote.data as Quote; // the button waits for it
      const vault = await openVault();
      pending.answer(
        await vault.withUnlocked(wallet.address, by, async (opened) =>
          signAndSend(client, await opened.account(), transaction, agreed),
        ),
      );
    },
  });
  useGoneWithSession(pending, wallet.address, unlock.busy);
  const close = (): void => {
    if (!unlock.busy) pending.refuse(); // what may be on its way is not said to be refused
  };
  const footer = (
    <>
      <div className="unlock-foot">{unlock.fields}</div>
      <Button disabled={unlock.busy} onClick={close}>
        Cancel
      </Button>
      {unlock.button}
    </>
  );
  return (
    <Dialog title={purpose.title} open onClose={close} closable={!unlock.busy} closeOnBackdrop={false} footer={footer} className="signing">
      <div className="stack" role="group" aria-label="What is signed" tabIndex={0}>
        <PurposeFacts purpose={purpose} />
        <section className="data">
          <h3>Transaction</h3>
          <dl>
            <div>
              <dt>Network</dt>
              <dd>{network === undefined ? <Skeleton width="12ch" /> : `${network.name} (${network.id})`}</dd>
            </div>
            <div>
              <dt>To</dt>
              <dd className="mono">{transaction.to}</dd>
            </div>
            <div>
              <dt>Value</dt>
              <dd className="num">{fromUnits(transaction.value ?? 0n, 18)} ETH</dd>
            </div>
            {transaction.data !== undefined && transaction.data !== "0x" && (
              <div>
                <dt>Data</dt>
                <dd className="mono data-bytes" tabIndex={0}>{transaction.data}</dd>
              </div>
            )}
            <div>
              <dt>Network fee, at most</dt>
              <dd className="num">{cost === null ? quote.isError ? "unknown" : <Skeleton width="12ch" /> : feeText(cost.feeWei)}</dd>
            </div>
          </dl>
        </section>
        {quote.isError && (
          <div className="note bad" role="alert">
            <p>{messageOf(quote.error)}</p>
            <Button size="s" icon="refresh" busy={quote.isFetching} onClick={() => void quote.refetch()}>
              Try again
            </Button>
          </div>
        )}
        {cost !== null && !affordable && (
          <p className="note bad" role="alert">
            The wallet has {fromUnits(cost.balanceWei, 18)} ETH: not enough for this and its network fee.
          </p>
        )}
      </div>
    </Dialog>
  );
}
