/** Which page stands in the shell. What is not needed at first is loaded when it is asked for. */

import { lazy, type ReactElement, Suspense } from "react";

import { usePath } from "./router";
import { marketOf } from "./shell/pages";
import { Shell } from "./shell/shell";
import { HomePage, TradePage } from "./trade/trade-page";
import { ErrorBoundary } from "./ui/error-boundary";
import { Loading } from "./ui/loading";
import { WalletHost } from "./wallet/wallet-host";

const PortfolioPage = lazy(() => import("./portfolio/portfolio-page"));
const ProofPage = lazy(() => import("./portfolio/proof-page"));
const FundsPage = lazy(() => import("./funds/funds-page"));
const WalletPage = lazy(() => import("./wallet/wallet-page"));
const SettingsPage = lazy(() => import("./shell/settings-page"));
const NotFoundPage = lazy(() => import("./shell/not-found-page"));

export function App(): ReactElement {
  const path = usePath();
  return (
    <>
      <Shell>
        <Suspense fallback={<Loading />}>{pageOf(path)}</Suspense>
      </Shell>
      <ErrorBoundary label="The wallet">
        <WalletHost />
      </ErrorBoundary>
    </>
  );
}

function pageOf(path: string): ReactElement {
  const [, page = ""] = path.split("/");
  const market = marketOf(path);
  switch (page) {
    case "":
    case "trade":
      return market === null ? <HomePage /> : <TradePage market={market} />;
    case "portfolio":
      return <PortfolioPage />;
    case "proof":
      return <ProofPage />;
    case "funds":
      return <FundsPage />;
    case "wallet":
      return <WalletPage />;
    case "settings":
      return <SettingsPage />;
    default:
      return <NotFoundPage />;
  }
}
