/** Where this exchange is: its chain, its contracts, what a wallet needs to reach them. */

import { useQuery, type UseQueryResult } from "@tanstack/react-query";

import { api, type Schemas } from "./client";

export type Deployment = Schemas["DeploymentAnswer"];

/** Asked for once; it changes only when the exchange is set up anew. */
export function fetchDeployment(): Promise<Deployment> {
  asked ??= api.get<Deployment>("/v1/deployment").catch((error: unknown) => {
    asked = null;
    throw error;
  });
  return asked;
}

let asked: Promise<Deployment> | null = null;

export function useDeployment(): UseQueryResult<Deployment> {
  return useQuery({ queryKey: ["deployment"], queryFn: fetchDeployment, staleTime: Infinity });
}
