/** What the order would come to: always the same lines, so that nothing moves while the book does. */

import type { ReactElement } from "react";

import { Money } from "../ui/money";
import { bpsText } from "./words";
import type { MarketRules } from "./market-rules";
import type { Checked } from "./order-check";
import { becomesMarket, type OrderDraft } from "./order-draft";

export interface OrderSummaryProps {
  draft: OrderDraft;
  checked: Checked;
  rules: MarketRules;
}

export function OrderSummary({ draft, checked, rules }: OrderSummaryProps): ReactElement {
  const { estimate } = checked;
  const buys = draft.side === "buy";
  const rate =
    estimate === null || estimate.takes !== "nothing"
      ? `${bpsText(rules.takerFeeBps)} taker`
      : `${bpsText(rules.makerFeeBps)} maker`;
  return (
    <dl className="facts order-summary" aria-label="Estimate">
      <div>
        <dt>Average price</dt>
        <dd>
          <Money value={estimate?.averagePrice ?? null} asset={rules.quote} />
        </dd>
      </div>
      {becomesMarket(draft) && (
        <div>
          <dt>{buys ? "Never above" : "Never below"}</dt>
          <dd>
            <Money value={estimate?.limitPrice ?? null} asset={rules.quote} />
          </dd>
        </div>
      )}
      <div>
        <dt>
          {estimate?.fee.startsWith("-") === true ? "Rebate" : "Fee"} <span className="faint">{rate}</span>
        </dt>
        <dd>
          <Money value={estimate === null ? null : estimate.fee.replace("-", "")} asset={rules.quote} />
        </dd>
      </div>
      <div className="strong">
        <dt>{buys ? "You pay about" : "You receive about"}</dt>
        <dd>
          <Money value={estimate?.total ?? null} asset={rules.quote} />
        </dd>
      </div>
    </dl>
  );
}
