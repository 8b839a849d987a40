/** Requests to the exchange, as the signed-in person: the session is a cookie that no script sees. */

import type { components } from "../../../sdk/typescript/exchange";

export type Schemas = components["schemas"];
export type Query = Record<string, string | number | boolean | null | undefined>;

const TIMEOUT_MS = 15_000;
const SESSION_OVER: ReadonlySet<string> = new Set(["session_invalid", "session_expired", "unauthenticated"]);

const sessionOver = new Set<() => void>();

/** Calls back when the server no longer knows the session; gives what ends that. */
export function onSessionOver(listener: () => void): () => void {
  sessionOver.add(listener);
  return () => sessionOver.delete(listener);
}

/** What the server refused, with its stable code. `field` is the one at fault, if it is one. */
export class ApiProblem extends Error {
  readonly status: number;
  readonly code: string;
  readonly detail: string;
  readonly field: string | null;
  readonly nearest: readonly string[];
  readonly retryAtMs: number | null;
  readonly document: Schemas["ProblemDocument"];

  constructor(document: Schemas["ProblemDocument"]) {
    super(document.detail);
    this.name = "ApiProblem";
    this.status = document.status;
    this.code = document.code;
    this.detail = document.detail;
    this.field = document.field ?? null;
    this.nearest = document.nearest ?? [];
    this.retryAtMs = document.retry_at_ms ?? null;
    this.document = document;
  }
}

/** No answer came: what was asked for may or may not have been done. */
export class NoAnswer extends Error {
  constructor(cause: unknown) {
    super("The exchange can not be reached", { cause });
    this.name = "NoAnswer";
  }
}

/** The path with its query; what is null or undefined is left out. */
export function pathWith(path: string, query: Query = {}): string {
  const given = Object.entries(query).filter(([, value]) => value !== null && value !== undefined);
  const text = new URLSearchParams(given.map(([name, value]) => [name, String(value)])).toString();
  return text === "" ? path : `${path}?${text}`;
}

/** The content of an answer. Throws ApiProblem. */
export async function readAnswer<T>(response: Response): Promise<T> {
  if (response.status === 204) return undefined as T;
  let content: unknown;
  try {
    content = await response.json();
  } catch (error) {
    throw new NoAnswer(error); // a proxy's page: nothing is known
  }
  if (!response.ok) {
    if (typeof content === "object" && content !== null && "code" in content) {
      throw new ApiProblem(content as Schemas["ProblemDocument"]);
    }
    throw new NoAnswer(response.status);
  }
  return content as T;
}

async function request<T>(method: string, path: string, body?: unknown): Promise<T> {
  let response: Response;
  try {
    response = await fetch(path, {
      method,
      credentials: "same-origin",
      headers: body === undefined ? {} : { "Content-Type": "application/json" },
      body: body === undefined ? null : JSON.stringify(body),
      signal: AbortSignal.timeout(TIMEOUT_MS),
    });
  } catch (error) {
    throw new NoAnswer(error);
  }
  try {
    return await readAnswer<T>(response);
  } catch (error) {
    if (error instanceof ApiProblem && SESSION_OVER.has(error.code)) sessionOver.forEach((listener) => listener());
    throw error;
  }
}

export const api = {
  get: <T>(path: string, query?: Query): Promise<T> => request<T>("GET", pathWith(path, query)),
  post: <T>(path: string, body: unknown = {}): Promise<T> => request<T>("POST", path, body),
  patch: <T>(path: string, body: unknown): Promise<T> => request<T>("PATCH", path, body),
  delete: <T>(path: string, query?: Query): Promise<T> => request<T>("DELETE", pathWith(path, query)),
};
