/** Who is signed in. The session is the server's; here is only what it says of it. */

import { useQueryClient } from "@tanstack/react-query";
import {
  createContext,
  type ReactElement,
  type ReactNode,
  useCallback,
  useContext,
  useEffect,
  useMemo,
  useState,
} from "react";

import { api, ApiProblem, type Schemas } from "./api/client";
import { stream } from "./stream/stream";
import type { Signer } from "./wallet/signer";

export type Me = Schemas["MeAnswer"];

export interface Session {
  /** "unknown" until the server has been asked. */
  readonly status: "unknown" | "signed-out" | "signed-in";
  readonly me: Me | null;
  /** Has the wallet sign the server's text. Throws SignatureRefused, ApiProblem, NoAnswer. */
  signIn(signer: Signer): Promise<Me>;
  signOut(): Promise<void>;
}

/** Set while somebody is signed in here. Whoever never was has no session to ask the server for. */
const SIGNED_IN = "signed-in";

const Context = createContext<Session | null>(null);

export function useSession(): Session {
  const session = useContext(Context);
  if (session === null) throw new Error("outside of SessionProvider");
  return session;
}

export function SessionProvider({ children }: { children: ReactNode }): ReactElement {
  const [status, setStatus] = useState<Session["status"]>("unknown");
  const [me, setMe] = useState<Me | null>(null);
  const queries = useQueryClient();

  const takeIn = useCallback((answer: Me | null) => {
    setMe(answer);
    setStatus(answer === null ? "signed-out" : "signed-in");
    if (answer === null) {
      localStorage.removeItem(SIGNED_IN);
      stream.signedOut();
    } else {
      localStorage.setItem(SIGNED_IN, "yes");
      stream.authenticate(answer.address);
    }
  }, []);

  useEffect(() => {
    let retry = 0;
    function ask(): void {
      api.get<Me>("/v1/me").then(takeIn, (error: unknown) => {
        if (error instanceof ApiProblem && error.status === 401) takeIn(null);
        else retry = window.setTimeout(ask, 2_000);
      });
    }
    if (localStorage.getItem(SIGNED_IN) === null) takeIn(null);
    else ask();
    return () => window.clearTimeout(retry);
  }, [takeIn]);

  const session = useMemo<Session>(
    () => ({
      status,
      me,
      async signIn(signer) {
        const nonce = await api.post<Schemas["NonceAnswer"]>("/v1/auth/nonce", { address: signer.address });
        const signature = await signer.signMessage(nonce.message);
        await api.post<Schemas["LoginAnswer"]>("/v1/auth/login", { message: nonce.message, signature });
        const answer = await api.get<Me>("/v1/me");
        queries.removeQueries({ predicate: (query) => query.queryKey[0] === "private" });
        takeIn(answer);
        return answer;
      },
      async signOut() {
        try {
          await api.post("/v1/auth/logout");
        } finally {
          queries.removeQueries({ predicate: (query) => query.queryKey[0] === "private" });
          takeIn(null);
        }
      },
    }),
    [status, me, queries, takeIn],
  );
  return <Context.Provider value={session}>{children}</Context.Provider>;
}
