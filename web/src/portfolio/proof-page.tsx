/** Checks in the browser that the person's balance is in the root that the exchange has committed to on the chain. */

import "./portfolio.css";

import { useQuery } from "@tanstack/react-query";
import { type ReactElement, useState } from "react";
import { type Address, isAddress } from "viem";

import { api, ApiProblem, type Schemas } from "../api/client";
import { fetchDeployment } from "../api/deployment";
import { inWords } from "../funds/problem-text";
import { SignedOut } from "../funds/signed-out";
import { timeOf } from "../funds/steps";
import { useSession } from "../session";
import { Button } from "../ui/button";
import { Empty } from "../ui/empty";
import { Field } from "../ui/field";
import { Loading } from "../ui/loading";
import { Select } from "../ui/select";
import { TextInput } from "../ui/text-input";
import { chainClient } from "../wallet/chain";
import { checkProof, fetchProof, type Verdict } from "./proof/check-proof";
import { Roots } from "./proof/roots-panel";
import { Solvency } from "./proof/solvency-panel";
import { VerdictPanel } from "./proof/verdict-panel";

export type Root = Schemas["RootItem"];

export default function ProofPage(): ReactElement {
  const { status } = useSession();
  return (
    <div className="page proof-page">
      {status === "unknown" ? (
        <Loading />
      ) : (
        <>
          {status === "signed-out" ? (
            <SignedOut title="Proof of balance" detail="Your own balance can be checked once you are signed in." />
          ) : (
            <h1>Proof of balance</h1>
          )}
          <Proof isSignedIn={status === "signed-in"} />
        </>
      )}
    </div>
  );
}

function Proof({ isSignedIn }: { isSignedIn: boolean }): ReactElement {
  const roots = useQuery({
    queryKey: ["proof-roots"],
    queryFn: async () => (await api.get<Schemas["RootsAnswer"]>("/v1/proof/roots", { limit: 25 })).items,
    refetchInterval: 15_000,
  });
  return (
    <>
      <p className="muted proof-lead">
        The exchange publishes a hash over all balances on the chain. This page takes your balance, computes the way
        from it up to that hash in your browser, and compares it with what the contract has stored. It also asks the
        chain what the vault held at that moment.
      </p>
      {roots.error !== null && <p className="note bad">{inWords(roots.error).text}</p>}
      {isSignedIn && roots.data !== undefined && (roots.data.length === 0 ? <NoProof /> : <Check roots={roots.data} />)}
      <Solvency />
      {roots.data !== undefined && roots.data.length > 0 && <Roots roots={roots.data} />}
      <p className="muted small">
        A page of the exchange could lie to you about its own check. The script scripts/verify_balance.py does the same
        and has nothing of the exchange in it; docs/proofs.md says what a proof proves, and what it does not.
      </p>
    </>
  );
}

function NoProof(): ReactElement {
  return (
    <section className="panel">
      <Empty
        icon="shield"
        title="No proof yet"
        detail="One is made each day, the first once something is owed and its block is final. Come back then."
      />
    </section>
  );
}

const NEWEST = "newest";

function Check({ roots }: { roots: Root[] }): ReactElement {
  const { me } = useSession();
  const [number, setNumber] = useState(NEWEST);
  const [contract, setContract] = useState("");
  const [busy, setBusy] = useState(false);
  const [verdict, setVerdict] = useState<Verdict | null>(null);
  const [problem, setProblem] = useState<string | null>(null);
  const contractProblem = contract.trim() === "" || isAddress(contract.trim()) ? null : "An address is 0x and 40 hex digits.";

  async function check(): Promise<void> {
    if (me === null || contractProblem !== null) return;
    setBusy(true);
    setProblem(null);
    setVerdict(null);
    try {
      const wanted = number === NEWEST ? null : Number(number);
      const trusted = contract.trim() === "" ? null : (contract.trim() as Address);
      const [proof, { vault }, client] = await Promise.all([fetchProof(wanted), fetchDeployment(), chainClient()]);
      const nowS = Math.floor(Date.now() / 1_000);
      setVerdict(await checkProof(proof, { owner: me.address, vault, contract: trusted, number: wanted, client, nowS }));
    } catch (error) {
      setProblem(wordsFor(error));
    } finally {
      setBusy(false);
    }
  }

  const options = [
    { value: NEWEST, label: "The newest" },
    ...roots.map((root) => ({ value: String(root.number), label: `Number ${root.number}, ${timeOf(Math.floor(root.built_at_ms / 1_000))}` })),
  ];
  return (
    <section className="panel" aria-labelledby="proof-check">
      <header className="panel-head">
        <h2 id="proof-check">Check your balance</h2>
      </header>
      <div className="panel-body stack">
        <div className="columns">
          <Field label="Proof">
            <Select value={number} options={options} onChange={setNumber} />
          </Field>
          <Field
            label="Contract of the roots (optional)"
            error={contractProblem}
            hint="From a source other than this exchange: then nobody can point you to another contract."
          >
            <TextInput mono placeholder="0x" value={contract} onChange={setContract} />
          </Field>
        </div>
        <div>
          <Button kind="primary" busy={busy} onClick={() => void check()}>
            Check now
          </Button>
        </div>
        {problem !== null && <p className="note warn" role="alert">{problem}</p>}
      </div>
      <div aria-live="polite">{verdict !== null && <VerdictPanel verdict={verdict} />}</div>
    </section>
  );
}

function wordsFor(error: unknown): string {
  if (error instanceof ApiProblem) {
    if (error.code === "not_in_proof") {
      return "By the exchange's word you were owed nothing when this proof was made, so you are not in it. If that is not so, keep the proof's root and ask the exchange why.";
    }
    if (error.code === "no_proof_yet") return "No proof was made yet. Look again later.";
    if (error.code === "proof_not_found") return "Of this proof only the root is kept. Check a newer one.";
  }
  return inWords(error).text;
}
