/** The fields of an order: what of it can be typed depends on its kind. What is wrong stands below each. */

import type { ReactElement, ReactNode } from "react";

import { fromUnits, toUnits } from "../numbers";
import { Link } from "../router";
import { Button } from "../ui/button";
import { Field } from "../ui/field";
import { shownAmount } from "../ui/money";
import { Select } from "../ui/select";
import { Slider } from "../ui/slider";
import { TextInput } from "../ui/text-input";
import { FaultText } from "./nearest";
import type { Checked } from "./order-check";
import {
  becomesMarket,
  type DraftField,
  effectiveTimeInForce,
  type OrderDraft,
  type Surroundings,
  timesInForce,
  triggerType,
} from "./order-draft";
import { percentOf, withPercent } from "./order-size";
import type { Refusal } from "./refusals";
import { TIME_IN_FORCE_WORDS } from "./words";

export interface OrderFieldsProps {
  draft: OrderDraft;
  around: Surroundings;
  checked: Checked;
  /** Fields that were left, whose faults are shown now. */
  seen: ReadonlySet<DraftField>;
  refusal: Refusal | null;
  onChange(patch: Partial<OrderDraft>): void;
  onSeen(field: DraftField): void;
}

export function OrderFields(props: OrderFieldsProps): ReactElement {
  const { draft, around, checked, onChange, onSeen } = props;
  const { rules } = around;
  const tif = effectiveTimeInForce(draft);
  const toMarket = becomesMarket(draft);
  const buys = draft.side === "buy";

  function faultOf(field: DraftField, onPick: (value: string) => void): ReactNode {
    const { refusal, seen } = props;
    if (refusal !== null && refusal.field === field) return <FaultText fault={refusal} onPick={onPick} />;
    const fault = checked.errors.find((error) => error.field === field);
    if (fault === undefined || (!seen.has(field) && !AT_ONCE.has(fault.code))) return null;
    return <FaultText fault={fault} onPick={onPick} />;
  }
  const warningOf = (field: DraftField): ReactNode => {
    const warning = checked.warnings.find((each) => each.field === field);
    return warning === undefined ? null : <span className="warn">{warning.text}</span>;
  };
  const sizeFault = faultOf("size", (size) => onChange({ size }));
  const ofBase = draft.unit === "base";
  const orderFault = checked.errors.find((error) => error.field === "order");

  return (
    <div className="order-fields">
      {orderFault !== undefined && <p className="note warn">{orderFault.text}</p>}
      {draft.kind === "stop" && (
        <div className="order-pair">
          <Field
            label="Trigger"
            reserve
            hint={triggerHint(draft, around)}
            error={faultOf("trigger", (trigger) => onChange({ trigger }))}
          >
            <TextInput
              name="trigger"
              inputMode="decimal"
              value={draft.trigger}
              onChange={(trigger) => onChange({ trigger })}
              onBlur={() => draft.trigger !== "" && onSeen("trigger")}
              suffix={rules.quote}
            />
          </Field>
          <Field label="Then">
            <Select
              value={draft.then}
              options={[
                { value: "market", label: "Market" },
                { value: "limit", label: "Limit" },
              ]}
              onChange={(then) => onChange({ then })}
            />
          </Field>
        </div>
      )}
      {!toMarket && (
        <Field
          label="Price"
          reserve
          hint={warningOf("price")}
          error={faultOf("price", (price) => onChange({ price }))}
          aside={<QuickPrices around={around} side={draft.side} onPick={(price) => onChange({ price })} />}
        >
          <TextInput
            name="price"
            inputMode="decimal"
            value={draft.price}
            onChange={(price) => onChange({ price })}
            onBlur={() => draft.price !== "" && onSeen("price")}
            suffix={rules.quote}
          />
        </Field>
      )}
      <Field
        label="Size"
        reserve
        aside={around.available === null ? undefined : <Available draft={draft} around={around} />}
        error={ofBase ? sizeFault : null}
        hint={ofBase ? warningOf("size") : null}
      >
        <TextInput
          name={ofBase ? "size" : "size-shown"}
          inputMode="decimal"
          value={ofBase ? draft.size : (checked.estimate?.size ?? "")}
          onChange={(size) => onChange({ unit: "base", size })}
          onBlur={() => ofBase && draft.size !== "" && onSeen("size")}
          suffix={rules.base}
        />
      </Field>
      <Slider
        label={`Part of your ${buys ? rules.quote : rules.base}`}
        tone={draft.side}
        value={percentOf(draft, around)}
        disabled={around.available === null}
        onChange={(percent) => onChange(withPercent(draft, percent, around))}
      />
      <Field label="Total" reserve error={ofBase ? null : sizeFault} hint={ofBase ? null : warningOf("size")}>
        <TextInput
          name={ofBase ? "total-shown" : "size"}
          inputMode="decimal"
          value={ofBase ? totalText(draft, checked) : draft.size}
          onChange={(size) => onChange({ unit: "quote", size })}
          onBlur={() => !ofBase && draft.size !== "" && onSeen("size")}
          suffix={rules.quote}
        />
      </Field>
      <div className="order-pair">
        <Field label="How long">
          <Select
            value={tif}
            options={timesInForce(draft).map((value) => ({ value, label: TIME_IN_FORCE_WORDS[value] }))}
            onChange={(timeInForce) => onChange({ timeInForce })}
          />
        </Field>
        {tif === "gtt" && (
          <Field label="Until" error={faultOf("goodTill", () => undefined)}>
            <TextInput
              type="datetime-local"
              name="goodTill"
              value={draft.goodTill}
              onChange={(goodTill) => onChange({ goodTill })}
              onBlur={() => onSeen("goodTill")}
            />
          </Field>
        )}
      </div>
    </div>
  );
}

/** Told while it is still being typed; the rest when the field is left. */
const AT_ONCE = new Set(["insufficient_funds", "too_many_decimals", "trigger_already_met"]);

/** What stands in the field for the total while the size is what is typed. */
function totalText(draft: OrderDraft, checked: Checked): string {
  return (draft.side === "buy" ? checked.estimate?.total : checked.estimate?.notional) ?? "";
}

function Available({ draft, around }: { draft: OrderDraft; around: Surroundings }): ReactElement | null {
  const { rules, available } = around;
  if (available === null) return null;
  const [amount, asset, decimals] =
    draft.side === "buy"
      ? ([available.quote, rules.quote, rules.quoteDecimals] as const)
      : ([available.base, rules.base, rules.baseDecimals] as const);
  const shown = Math.min(decimals, 6);
  const cut = toUnits(amount, decimals) / 10n ** BigInt(decimals - shown);
  return (
    <span className="row tight">
      <span className="num" title={`${amount} ${asset}`}>
        {shownAmount(fromUnits(cut, shown))} {asset} available
      </span>
      {cut === 0n && <Link to="/funds">Deposit</Link>}
    </span>
  );
}

interface QuickPricesProps {
  around: Surroundings;
  side: OrderDraft["side"];
  onPick(price: string): void;
}

function QuickPrices({ around, side, onPick }: QuickPricesProps): ReactElement {
  const bid = around.bids[0]?.[0];
  const ask = around.asks[0]?.[0];
  const all = side === "buy" ? ([["Bid", bid], ["Ask", ask]] as const) : ([["Ask", ask], ["Bid", bid]] as const);
  return (
    <span className="row tight">
      {all.map(([name, price]) => (
        <Button
          key={name}
          kind="plain"
          size="s"
          className="quick-price"
          disabled={price === undefined}
          onClick={() => price !== undefined && onPick(price)}
        >
          {name}
        </Button>
      ))}
    </span>
  );
}

function triggerHint(draft: OrderDraft, around: Surroundings): ReactNode {
  if (draft.trigger === "" || around.lastPrice === null) return "Waits for this price";
  const trigger = draft.trigger.replace(/\.$/, "");
  if (!/^\d+(\.\d+)?$/.test(trigger)) return null;
  const rises = (triggerType(draft, trigger, around.lastPrice) === "stop") === (draft.side === "buy");
  return `${draft.side === "buy" ? "Buys" : "Sells"} once it ${rises ? "rises" : "falls"} to this`;
}
