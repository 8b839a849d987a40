import { QueryClient, QueryClientProvider } from "@tanstack/react-query";
import { StrictMode } from "react";
import { createRoot } from "react-dom/client";

import { App } from "./app";
import { ApiProblem } from "./api/client";
import { SessionProvider } from "./session";
import { ErrorBoundary } from "./ui/error-boundary";

const queries = new QueryClient({
  defaultOptions: {
    queries: {
      staleTime: 10_000,
      retry: (failures, error) => failures < 3 && !(error instanceof ApiProblem && error.status < 500),
    },
  },
});

const root = document.getElementById("root");
if (root === null) throw new Error("no #root");
createRoot(root).render(
  <StrictMode>
    <QueryClientProvider client={queries}>
      <SessionProvider>
        <ErrorBoundary label="The app">
          <App />
        </ErrorBoundary>
      </SessionProvider>
    </QueryClientProvider>
  </StrictMode>,
);
