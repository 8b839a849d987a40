/** Where this exchange is: its chain, its contracts, what a wallet needs to reach them. */

import { useQuery, type UseQueryResult } from "@tanstack/react-query";

import { api, type Schemas } from "./client";

export type Deployment = Schemas["DeploymentAnswer"];

const ASK_AGAIN_MS = 30_000;

/** What never changes while the page is open is asked for once. */
export function fetchDeployment(): Promise<Deployment> {
  asked ??= api.get<Deployment>("/v1/deployment").catch((error: unknown) => {
    asked = null;
    throw error;
  });
  return asked;
}

let asked: Promise<Deployment> | null = null;

/** Asked again now and then: withdrawals may be halted, and go on. */
export function useDeployment(): UseQueryResult<Deployment> {
  return useQuery({
    queryKey: ["deployment"],
    queryFn: () => api.get<Deployment>("/v1/deployment"),
    staleTime: ASK_AGAIN_MS,
    refetchInterval: ASK_AGAIN_MS,
  });
}
