/** Where a withdrawal goes: the person's own wallet, or another address as far as the allow list lets it. */

import { useQuery, useQueryClient } from "@tanstack/react-query";
import { type ReactElement, useState } from "react";
import { type Address, getAddress, isAddress } from "viem";

import { api, type Schemas } from "../api/client";
import type { Deployment } from "../api/deployment";
import { useSession } from "../session";
import { Button } from "../ui/button";
import { Field } from "../ui/field";
import { shortHash } from "../ui/hash";
import { Select } from "../ui/select";
import { TextInput } from "../ui/text-input";
import { toast } from "../ui/toast";
import { SignatureRefused } from "../wallet/signer";
import type { Asset } from "./assets";
import { useOwnSigner } from "./own-signer";
import { inWords } from "./problem-text";
import { termsFromNow } from "./signing-terms";
import { timeOf } from "./steps";
import { NATIVE } from "./vault-abi";
import { addressMessage } from "./withdrawal-message";

type Listed = Schemas["WithdrawalAddressesAnswer"];

const OWN = "own";
const OTHER = "other";
const SIGN_WITHIN_S = 900;

/** The owner's list, and how long an address has to be on it; undefined until it is known. */
export function useDestinationRule(): Listed | undefined {
  const { me, status } = useSession();
  return useQuery({
    queryKey: ["private", "withdrawal-addresses", me?.address],
    enabled: status === "signed-in",
    queryFn: () => api.get<Listed>("/v1/withdrawal-addresses"),
  }).data;
}

export interface Destination {
  address: Address | null;
  /** Whether enough was typed to complain. */
  isWhole: boolean;
  problem: string | null;
}

/** What was typed as a destination; null is the person's own wallet. Pure. */
export function destinationOf(typed: string | null, owner: string, asset: Asset | null, deployment: Deployment): Destination {
  if (typed === null) return { address: getAddress(owner), isWhole: true, problem: null };
  const text = typed.trim();
  if (text === "") return { address: null, isWhole: false, problem: "Enter an address." };
  const isWhole = text.length >= 42;
  if (!/^0x[0-9a-fA-F]{40}$/.test(text)) {
    return { address: null, isWhole, problem: "An address is 0x and 40 hex digits." };
  }
  const bare = text.slice(2);
  const isOneCase = bare === bare.toLowerCase() || bare === bare.toUpperCase();
  if (!isOneCase && !isAddress(text)) {
    return { address: null, isWhole, problem: "Its capital letters do not fit. Is a character wrong?" };
  }
  const address = getAddress(`0x${bare.toLowerCase()}`);
  const forbidden = [NATIVE, deployment.vault, asset?.token ?? NATIVE].map((each) => each.toLowerCase());
  if (forbidden.includes(address.toLowerCase())) {
    return { address: null, isWhole, problem: "Nothing can be sent to this address." };
  }
  return { address, isWhole, problem: null };
}

interface Props {
  owner: Address;
  deployment: Deployment;
  rule: Listed | undefined;
  value: string | null;
  error: string | null;
  onChange(value: string | null): void;
}

export function DestinationField({ owner, deployment, rule, value, error, onChange }: Props): ReactElement {
  const listed = rule?.items ?? [];
  const chosen = value === null ? OWN : (listed.find((each) => each.address === value)?.address ?? OTHER);
  const options = [
    { value: OWN, label: `My wallet ${shortHash(owner)}` },
    ...listed.map((each) => ({
      value: each.address,
      label: `${each.label} ${shortHash(each.address)}${each.active_at_ms > Date.now() ? ` (from ${timeOf(Math.ceil(each.active_at_ms / 1_000))})` : ""}`,
    })),
    { value: OTHER, label: "Another address" },
  ];
  const isOther = chosen === OTHER;
  return (
    <div className="stack">
      <Field label="To" error={isOther ? null : error} hint={isOther ? null : ruleOf(rule)}>
        <Select
          value={chosen}
          options={options}
          onChange={(next) => onChange(next === OWN ? null : next === OTHER ? "" : next)}
        />
      </Field>
      {isOther && (
        <>
          <Field label="Address" error={error} hint={ruleOf(rule)}>
            <TextInput mono placeholder="0x" value={value ?? ""} onChange={onChange} />
          </Field>
          {rule !== undefined && rule.delay_s > 0 && (
            <AddAddress owner={owner} deployment={deployment} delayS={rule.delay_s} typed={value ?? ""} />
          )}
        </>
      )}
    </div>
  );
}

function ruleOf(rule: Listed | undefined): string | null {
  if (rule === undefined) return null;
  if (rule.delay_s === 0) return "Withdrawals may go to any address.";
  return `To other addresses only once they have been on your list for ${span(rule.delay_s)}.`;
}

export function span(seconds: number): string {
  const [count, unit] = seconds % 3_600 === 0 ? [seconds / 3_600, "hour"] : [Math.ceil(seconds / 60), "minute"];
  return `${count} ${unit}${count === 1 ? "" : "s"}`;
}

interface AddProps {
  owner: Address;
  deployment: Deployment;
  delayS: number;
  typed: string;
}

/** Puts an address on the list. The wallet signs it, so that a stolen session can not. */
export function AddAddress({ owner, deployment, delayS, typed }: AddProps): ReactElement {
  const [label, setLabel] = useState("");
  const [busy, setBusy] = useState(false);
  const [problem, setProblem] = useState<string | null>(null);
  const request = useOwnSigner();
  const queries = useQueryClient();

  async function add(): Promise<void> {
    const { address, problem: wrong } = destinationOf(typed, owner, null, deployment);
    setProblem(wrong ?? (label.trim() === "" ? "Give it a name." : null));
    if (address === null || label.trim() === "") return;
    setBusy(true);
    try {
      const signer = await request();
      const { nonce, deadlineS } = await termsFromNow(SIGN_WITHIN_S);
      const signature = await signer.signTypedData(addressMessage(deployment, getAddress(owner), address, nonce, deadlineS), {
        title: "Allow withdrawals to an address",
        lines: [
          { label: "Address", value: address },
          { label: "Name", value: label.trim() },
          { label: "May be used", value: `in ${span(delayS)}` },
        ],
        warning: "Whoever owns this address can keep what you withdraw to it.",
      });
      await api.post("/v1/withdrawal-addresses", { address, label: label.trim(), nonce: nonce.toString(), deadline_s: deadlineS, signature });
      toast("ok", "The address is on your list", `Withdrawals may go to it in ${span(delayS)}.`);
      await queries.invalidateQueries({ queryKey: ["private", "withdrawal-addresses"] });
      await queries.invalidateQueries({ queryKey: ["private", "withdrawal-quote"] });
    } catch (error) {
      if (!(error instanceof SignatureRefused)) setProblem(inWords(error).text);
    } finally {
      setBusy(false);
    }
  }

  return (
    <div className="card stack">
      <Field label="Name for your list" error={problem}>
        <TextInput value={label} maxLength={64} placeholder="Cold wallet" onChange={setLabel} />
      </Field>
      <Button busy={busy} onClick={() => void add()}>
        Put it on my list
      </Button>
    </div>
  );
}
