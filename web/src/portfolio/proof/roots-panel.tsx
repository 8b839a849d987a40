/** The daily roots, and where each is stored. */

import type { ReactElement } from "react";

import { timeOf } from "../../funds/steps";
import { Hash } from "../../ui/hash";
import type { Root } from "../proof-page";

const STATES: Record<Root["state"], { text: string; tone: string }> = {
  built: { text: "Made", tone: "accent" },
  sent: { text: "Sent to the chain", tone: "accent" },
  published: { text: "On the chain", tone: "good" },
  unpublishable: { text: "Can never be on the chain", tone: "bad" },
};

export function Roots({ roots }: { roots: Root[] }): ReactElement {
  return (
    <section className="panel" aria-labelledby="proof-roots">
      <header className="panel-head">
        <h2 id="proof-roots">Published roots</h2>
      </header>
      <div className="panel-body flush">
        <div className="table-wrap" role="group" aria-label="Published roots" tabIndex={0}>
          <table className="table">
            <thead>
              <tr>
                <th scope="col">Number</th>
                <th scope="col">Made</th>
                <th scope="col" className="end">Block</th>
                <th scope="col">Root</th>
                <th scope="col">State</th>
              </tr>
            </thead>
            <tbody>
              {roots.map((root) => (
                <tr key={root.number}>
                  <th scope="row" className="num">{root.number}</th>
                  <td>{timeOf(Math.floor(root.built_at_ms / 1_000))}</td>
                  <td className="num end">{root.block_number}</td>
                  <td><Hash value={root.root} label="root" /></td>
                  <td>
                    <span className={`badge ${STATES[root.state].tone}`}>{STATES[root.state].text}</span>
                  </td>
                </tr>
              ))}
            </tbody>
          </table>
        </div>
      </div>
    </section>
  );
}
