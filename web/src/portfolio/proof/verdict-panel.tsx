/** The verdict in one word, why, and every hash that led to it. */

import type { ReactElement } from "react";

import { Icon, type IconName } from "../../ui/icon";
import { Hash } from "../../ui/hash";
import { Money } from "../../ui/money";
import { sentence } from "../../funds/steps";
import { fromUnits } from "../../numbers";
import type { Verdict } from "./check-proof";
import { percent } from "./proof-chain";
import { type CheckedLeaf, shown, tokenName } from "./proof-tree";

const LOOK: Record<Verdict["word"], { tone: string; icon: IconName; text: string }> = {
  RIGHT: {
    tone: "good",
    icon: "check",
    text: "These amounts are part of the root on the chain, and the vault held what is owed to all, or at most 1 % less.",
  },
  "RIGHT, AS FAR AS IT GOES": {
    tone: "good",
    icon: "check",
    text: "These amounts are part of this root. Whether everybody is shown this root, and what the vault held, only the chain tells, and this exchange names no node.",
  },
  WRONG: { tone: "bad", icon: "close", text: "This proof does not prove your balance. Keep it, and ask the exchange why." },
  SHORT: {
    tone: "bad",
    icon: "alert",
    text: "Your amounts are counted, but at that block the money to pay everybody was not in the vault. It can be so for a moment, when somebody moves a large amount. If another day's proof is SHORT too, do not leave here what you can not lose.",
  },
  "NOT CHECKED": { tone: "warn", icon: "alert", text: "It could not be checked, so it is neither right nor wrong." },
};

export function VerdictPanel({ verdict }: { verdict: Verdict }): ReactElement {
  const look = LOOK[verdict.word];
  const { tree, findings, proof } = verdict;
  return (
    <div className="proof-verdict">
      <p className={`row proof-word ${look.tone}`}>
        <Icon name={look.icon} size={28} /> {verdict.word}
      </p>
      {verdict.why !== null && <p className={`note ${look.tone}`}>{sentence(verdict.why)}</p>}
      <p>{look.text}</p>
      {verdict.short.map((asset) => (
        <p key={asset.token} className="note bad">
          {asset.symbol}: held {shown(asset, asset.inVault)} of {shown(asset, asset.total)} owed
          {asset.total > 0n && `, ${percent(asset.inVault, asset.total)} %`}
        </p>
      ))}
      {tree !== null && (
        <>
          <h3>What the exchange counts as owed to you</h3>
          <p className="muted small">
            As of number {proof.seq} of its journal, in orders and on their way out included. If you had an asset that
            is not in this list, it was left out.
          </p>
          <div className="stack">
            {tree.assets.map((asset) => {
              const leaf = tree.leaves.find((each) => each.asset === asset);
              return leaf === undefined ? (
                <p key={asset.token} className="muted">
                  Nothing in {asset.symbol}
                </p>
              ) : (
                <Leaf key={asset.token} leaf={leaf} account={tree.account} />
              );
            })}
          </div>
          <dl className="facts">
            <div>
              <dt>Root of all these values, computed here</dt>
              <dd><Hash value={tree.root} label="root" /></dd>
            </div>
            <div>
              <dt>Root in the exchange's answer</dt>
              <dd><Hash value={proof.root} label="root" /></dd>
            </div>
          </dl>
        </>
      )}
      {findings.length > 0 && (
        <>
          <h3>What the chain says</h3>
          <ul className="proof-list">
            {findings.map((finding) => (
              <li key={finding.text}>
                <Icon name={finding.careful ? "alert" : "check"} size={16} />
                <span>
                  {finding.careful && <span className="warn strong">Careful: </span>}
                  {finding.text}
                </span>
              </li>
            ))}
          </ul>
        </>
      )}
    </div>
  );
}

function Leaf({ leaf, account }: { leaf: CheckedLeaf; account: string }): ReactElement {
  const { asset } = leaf;
  return (
    <details className="card">
      <summary>
        <span className="strong"><Money value={fromUnits(leaf.amount, asset.decimals)} asset={asset.symbol} /></span>{" "}
        <span className="muted">of {shown(asset, asset.total)} owed to all, in {leaf.path.length === 1 ? "1 step" : `${leaf.path.length} steps`}</span>
      </summary>
      <div className="stack proof-path">
        <p className="muted small">{sentence(tokenName(asset))}</p>
        <dl className="facts small">
          <div>
            <dt>Account</dt>
            <dd className="proof-hash">{account}</dd>
          </div>
          <div>
            <dt>Salt</dt>
            <dd className="proof-hash">{leaf.salt}</dd>
          </div>
          <div>
            <dt>Your leaf</dt>
            <dd className="proof-hash">{leaf.leaf}</dd>
          </div>
          {leaf.path.map((step, index) => (
            <div key={step.hash}>
              <dt>
                Step {index + 1}, with {shown(asset, step.siblingSum)} on the {step.side}
              </dt>
              <dd className="proof-hash">
                {step.hash}
                <br />
                sum {shown(asset, step.sum)}
              </dd>
            </div>
          ))}
          <div>
            <dt>Tree of {asset.symbol} in the root</dt>
            <dd className="proof-hash">{asset.treeHash}</dd>
          </div>
        </dl>
      </div>
    </details>
  );
}
