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
  useRef,
  useState,
} from "react";

import { api, ApiProblem, onSessionOver, type Schemas } from "./api/client";
import { stream } from "./stream/stream";
import type { Signer } from "./wallet/signer";

export type Me = Schemas["MeAnswer"];

export interface Session {
  /** "unknown" until the server has been asked. */
  readonly status: "unknown" | "signed-out" | "signed-in";
  readonly me: Me | null;
  /** Has the wallet sign the server's text. Throws SignatureRefused, ApiProblem, NoAnswer. */
  signIn(signer: Signer): Promise<Me>;
  /**
   * `last` is what still needs the session; nobody is shown as signed in by then. Throws NoAnswer, ApiProblem: then
   * the session may still be there, and is shown if it is.
   */
  signOut(last?: () => Promise<void>): Promise<void>;
}

/** Who is signed in here, for the other tabs. Whoever never was has no session to ask the server for. */
const SIGNED_IN = "signed-in";
const RETRY_MS = 2_000;

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
  const shown = useRef<string | null>(null);

  /** What the server says. Nothing of one person is left on the page when another is there, or nobody. */
  const takeIn = useCallback(
    (answer: Me | null) => {
      const address = answer?.address ?? null;
      if (address !== shown.current) queries.removeQueries({ predicate: isPrivate });
      shown.current = address;
      setMe(answer);
      setStatus(answer === null ? "signed-out" : "signed-in");
      if (answer === null) {
        note(null);
        stream.signedOut();
      } else {
        note(answer.address);
        stream.authenticate(answer.address);
      }
    },
    [queries],
  );

  const ask = useCallback((): (() => void) => {
    let retry = 0;
    function once(): void {
      api.get<Me>("/v1/me").then(takeIn, (error: unknown) => {
        if (error instanceof ApiProblem && error.status === 401) takeIn(null);
        else retry = window.setTimeout(once, RETRY_MS);
      });
    }
    once();
    return () => window.clearTimeout(retry);
  }, [takeIn]);

  useEffect(() => {
    if (noted() !== null) return ask();
    takeIn(null);
    return undefined;
  }, [ask, takeIn]);

  useEffect(() => {
    let cancel = (): void => undefined;
    function onOtherTab(event: StorageEvent): void {
      if (event.key !== SIGNED_IN || event.newValue === shown.current) return;
      cancel();
      if (event.newValue === null) takeIn(null);
      else cancel = ask();
    }
    window.addEventListener("storage", onOtherTab);
    const unlisten = onSessionOver(() => {
      if (shown.current !== null) takeIn(null);
    });
    return () => {
      window.removeEventListener("storage", onOtherTab);
      unlisten();
      cancel();
    };
  }, [ask, takeIn]);

  // The stream is told first when a session ends, or is another's: what does the server say?
  useEffect(() => {
    let wasRefused = false;
    let cancel = (): void => undefined;
    const unlisten = stream.status.subscribe(() => {
      const { isRefused } = stream.status.get();
      if (isRefused && !wasRefused && shown.current !== null) {
        cancel();
        cancel = ask();
      }
      wasRefused = isRefused;
    });
    return () => {
      unlisten();
      cancel();
    };
  }, [ask]);

  const session = useMemo<Session>(
    () => ({
      status,
      me,
      async signIn(signer) {
        const nonce = await api.post<Schemas["NonceAnswer"]>("/v1/auth/nonce", { address: signer.address });
        const signature = await signer.signMessage(nonce.message);
        await api.post<Schemas["LoginAnswer"]>("/v1/auth/login", { message: nonce.message, signature });
        const answer = await api.get<Me>("/v1/me");
        takeIn(answer);
        return answer;
      },
      async signOut(last) {
        takeIn(null); // at once: what the stream says of the end is then no news
        try {
          await last?.();
          await api.post("/v1/auth/logout");
        } catch (error) {
          if (error instanceof ApiProblem && error.status === 401) return;
          ask(); // it may have been done or not
          throw error;
        }
      },
    }),
    [status, me, ask, takeIn],
  );
  return <Context.Provider value={session}>{children}</Context.Provider>;
}

function noted(): string | null {
  try {
    return localStorage.getItem(SIGNED_IN);
  } catch {
    return null; // a browser that keeps nothing: signed out with each load
  }
}

function note(address: string | null): void {
  try {
    if (address === null) localStorage.removeItem(SIGNED_IN);
    else localStorage.setItem(SIGNED_IN, address);
  } catch {
    // as above
  }
}

function isPrivate(query: { queryKey: readonly unknown[] }): boolean {
  return query.queryKey[0] === "private";
}
