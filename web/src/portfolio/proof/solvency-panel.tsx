/** Per asset, at the newest final block: what the vault holds, what the ledger owes, and the difference. */

import { useQuery } from "@tanstack/react-query";
import type { ReactElement } from "react";

import { api, ApiProblem, type Schemas } from "../../api/client";
import { inWords } from "../../funds/problem-text";
import { compare } from "../../numbers";
import { Empty } from "../../ui/empty";
import { Loading } from "../../ui/loading";
import { Money } from "../../ui/money";

export function Solvency(): ReactElement {
  const { data, error } = useQuery({
    queryKey: ["solvency"],
    queryFn: () => api.get<Schemas["SolvencyAnswer"]>("/v1/proof/solvency"),
    refetchInterval: 15_000,
    retry: false,
  });
  return (
    <section className="panel" aria-labelledby="proof-solvency">
      <header className="panel-head">
        <h2 id="proof-solvency">What is owed and what is held</h2>
        {data !== undefined && (
          <span className={`badge ${data.status === "agrees" ? "good" : "bad"}`}>
            {data.status === "agrees" ? "Agrees" : "Differs"}
          </span>
        )}
      </header>
      <div className="panel-body flush">
        {data !== undefined ? (
          <Compared answer={data} />
        ) : error === null ? (
          <Loading />
        ) : (
          <Empty icon="clock" title="Not compared yet" detail={isTooEarly(error) ? "A new chain first has to make a block final." : inWords(error).text} />
        )}
      </div>
    </section>
  );
}

function isTooEarly(error: Error): boolean {
  return error instanceof ApiProblem && error.code === "not_compared_yet";
}

function Compared({ answer }: { answer: Schemas["SolvencyAnswer"] }): ReactElement {
  return (
    <>
      <div className="table-wrap" role="group" aria-label="What is owed and what is held" tabIndex={0}>
        <table className="table">
          <thead>
            <tr>
              <th scope="col">Asset</th>
              <th scope="col" className="end">In the vault</th>
              <th scope="col" className="end">Owed by the ledger</th>
              <th scope="col" className="end">Not credited yet</th>
              <th scope="col" className="end">Paid, not settled</th>
              <th scope="col" className="end">Difference</th>
            </tr>
          </thead>
          <tbody>
            {answer.assets.map((each) => (
              <tr key={each.token}>
                <th scope="row">{each.asset}</th>
                <td className="num end"><Money value={each.vault} /></td>
                <td className="num end"><Money value={each.ledger} /></td>
                <td className="num end"><Money value={each.uncredited} /></td>
                <td className="num end"><Money value={each.unsettled} /></td>
                <td className={`num end ${compare(each.difference, "0") === 0 ? "" : "bad"}`}><Money value={each.difference} /></td>
              </tr>
            ))}
          </tbody>
        </table>
      </div>
      <p className="portfolio-note muted small">
        At block {answer.block_number}. In the vault = owed + not credited yet − paid and not settled. This table is
        the exchange's word; the check above is not.
      </p>
    </>
  );
}
