/** Each asset: what can be used, what open orders hold, both together. */

import type { ReactElement } from "react";

import { useBalances } from "../trade/balances";
import { Button } from "../ui/button";
import { Loading } from "../ui/loading";
import { Money } from "../ui/money";
import { useAssets } from "./assets";

interface Props {
  onDeposit(asset: string): void;
  onWithdraw(asset: string): void;
}

export function BalancesPanel({ onDeposit, onWithdraw }: Props): ReactElement {
  const balances = useBalances();
  const assets = useAssets().data;
  return (
    <section className="panel" aria-labelledby="funds-balances">
      <header className="panel-head">
        <h2 id="funds-balances">Balances</h2>
      </header>
      <div className="panel-body flush">
        {assets === undefined || balances === null ? (
          <div className="funds-wait">
            <Loading />
          </div>
        ) : (
          <div className="table-wrap" role="group" aria-label="Balances" tabIndex={0}>
            <table className="table">
              <thead>
                <tr>
                  <th scope="col">Asset</th>
                  <th scope="col" className="end">Available</th>
                  <th scope="col" className="end">In orders</th>
                  <th scope="col" className="end desktop-only">Total</th>
                  <th scope="col" className="end">
                    <span className="visually-hidden">Deposit or withdraw</span>
                  </th>
                </tr>
              </thead>
              <tbody>
                {assets.map(({ symbol }) => {
                  const balance = balances.get(symbol);
                  return (
                    <tr key={symbol}>
                      <th scope="row">{symbol}</th>
                      <td className="num end"><Money value={balance?.available ?? "0"} /></td>
                      <td className="num end"><Money value={balance?.held ?? "0"} /></td>
                      <td className="num end desktop-only"><Money value={balance?.total ?? "0"} /></td>
                      <td className="end funds-row-buttons">
                        <Button
                          kind="plain"
                          size="s"
                          icon="arrow-down"
                          aria-label={`Deposit ${symbol}`}
                          onClick={() => onDeposit(symbol)}
                        >
                          <span className="desktop-only">Deposit</span>
                        </Button>
                        <Button
                          kind="plain"
                          size="s"
                          icon="arrow-up"
                          aria-label={`Withdraw ${symbol}`}
                          onClick={() => onWithdraw(symbol)}
                        >
                          <span className="desktop-only">Withdraw</span>
                        </Button>
                      </td>
                    </tr>
                  );
                })}
              </tbody>
            </table>
          </div>
        )}
      </div>
    </section>
  );
}
