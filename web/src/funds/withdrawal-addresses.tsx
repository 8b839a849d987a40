/** The list of withdrawal addresses, where this exchange keeps one. */

import { useQueryClient } from "@tanstack/react-query";
import { type ReactElement, useState } from "react";
import type { Address } from "viem";

import { api } from "../api/client";
import { useDeployment } from "../api/deployment";
import { useSession } from "../session";
import { IconButton } from "../ui/button";
import { confirmDialog } from "../ui/confirm";
import { Field } from "../ui/field";
import { Hash } from "../ui/hash";
import { TextInput } from "../ui/text-input";
import { toast } from "../ui/toast";
import { inWords } from "./problem-text";
import { timeOf } from "./steps";
import { AddAddress, span, useDestinationRule } from "./withdraw-destination";

export function WithdrawalAddresses(): ReactElement | null {
  const rule = useDestinationRule();
  const deployment = useDeployment().data;
  const { me } = useSession();
  const queries = useQueryClient();
  const [typed, setTyped] = useState("");
  if (rule === undefined || rule.delay_s === 0 || deployment === undefined || me === null) return null;

  async function remove(address: string, label: string): Promise<void> {
    const body = "Withdrawals to it that are not approved yet are not paid. To have it back, you sign and wait anew.";
    if (!(await confirmDialog({ title: `Remove ${label}?`, body, confirm: "Remove", kind: "danger" }))) return;
    try {
      await api.delete(`/v1/withdrawal-addresses/${address}`);
      await queries.invalidateQueries({ queryKey: ["private", "withdrawal-addresses"] });
    } catch (error) {
      toast("error", "It was not removed", inWords(error).text);
    }
  }

  return (
    <section className="panel" aria-labelledby="funds-addresses">
      <header className="panel-head">
        <h2 id="funds-addresses">Withdrawal addresses</h2>
      </header>
      <div className="panel-body stack">
        <p className="muted">
          You can always withdraw to your own wallet. Any other address has to be on this list for {span(rule.delay_s)}{" "}
          first, so that a change you did not make can be seen and undone in time.
        </p>
        <ul className="stack tight">
          {rule.items.map((each) => (
            <li key={each.address} className="row spread card">
              <span className="stack tight">
                <span className="strong">{each.label}</span>
                <Hash value={each.address} label="address" />
              </span>
              <span className="row">
                <span className={each.active_at_ms > Date.now() ? "badge warn" : "badge good"}>
                  {each.active_at_ms > Date.now() ? `From ${timeOf(Math.ceil(each.active_at_ms / 1_000))}` : "Allowed"}
                </span>
                <IconButton icon="trash" label={`Remove ${each.label}`} onClick={() => void remove(each.address, each.label)} />
              </span>
            </li>
          ))}
        </ul>
        <Field label="Add an address">
          <TextInput mono placeholder="0x" value={typed} onChange={setTyped} />
        </Field>
        <AddAddress owner={me.address as Address} deployment={deployment} delayS={rule.delay_s} typed={typed} />
      </div>
    </section>
  );
}
