/** Typed data to sign: what it is for, then every field of it, then the unlock. */

import "./wallet.css";

import { type ReactElement, useMemo } from "react";

import { useDeployment } from "../api/deployment";
import { Button } from "../ui/button";
import { Dialog } from "../ui/dialog";
import type { Wallet } from "../vault/record";
import { PurposeFacts } from "./purpose-facts";
import type { Pending } from "./requests";
import { type DataRow, domainRows, isForChain, messageRows } from "./typed-data";
import { useUnlock } from "./unlock";
import { useGoneWithSession } from "./use-gone-with-session";
import { openVault } from "./wallets";

export function ApprovalDialog({ pending, wallet }: { pending: Pending<"typed-data">; wallet: Wallet }): ReactElement {
  const { data, purpose } = pending.request;
  const rows = useMemo(() => ({ message: messageRows(data), domain: domainRows(data) }), [data]);
  const deployment = useDeployment().data;
  const foreign = deployment !== undefined && !isForChain(data, deployment.chain_id);
  const unlock = useUnlock({
    wallet,
    verb: "Sign",
    disabled: deployment === undefined || foreign,
    async onUnlock(by) {
      const vault = await openVault();
      pending.answer(
        await vault.withUnlocked(wallet.address, by, async (opened) => (await opened.account()).signTypedData(data)),
      );
    },
  });
  useGoneWithSession(pending, wallet.address, false);
  const footer = (
    <>
      <div className="unlock-foot">{unlock.fields}</div>
      <Button onClick={() => pending.refuse()}>Cancel</Button>
      {unlock.button}
    </>
  );
  return (
    <Dialog title={purpose.title} open onClose={() => pending.refuse()} closeOnBackdrop={false} footer={footer} className="signing">
      <div className="stack" role="group" aria-label="What is signed" tabIndex={0}>
        <PurposeFacts purpose={purpose} />
        {foreign && <p className="note bad">This is for another chain than the exchange’s. It cannot be signed here.</p>}
        <DataTable title={`Signed: ${data.primaryType}`} rows={rows.message} />
        <DataTable title="Valid only for" rows={rows.domain} />
      </div>
    </Dialog>
  );
}

function DataTable({ title, rows }: { title: string; rows: readonly DataRow[] }): ReactElement {
  return (
    <section className="data">
      <h3>{title}</h3>
      <dl>
        {rows.map((row, i) => (
          <div key={i} style={{ paddingInlineStart: `${row.depth * 12}px` }}>
            <dt>{row.label}</dt>
            {row.value !== null && <dd className="mono">{row.value}</dd>}
          </div>
        ))}
      </dl>
    </section>
  );
}
