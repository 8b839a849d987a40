/** The frame around every page: header, navigation, and what can be reached from everywhere. */

import "./shell.css";

import { type CSSProperties, type ReactElement, type ReactNode, type RefObject, useEffect, useRef, useState } from "react";

import { MarketSwitcher } from "../market/market-switcher";
import { useHomeMarket } from "../market/markets";
import { Link, navigate, usePath } from "../router";
import { OrderNotices } from "../trade/order-notices";
import { Button, IconButton } from "../ui/button";
import { Confirms } from "../ui/confirm";
import { ErrorBoundary } from "../ui/error-boundary";
import { Icon } from "../ui/icon";
import { Toasts } from "../ui/toasts";
import { Account } from "./account-menu";
import { BackupStrip, useNeedsBackup } from "./backup-strip";
import { registerCommand } from "./commands";
import { Connection, ConnectionBanner } from "./connection";
import { marketOf, pageOf, PAGES } from "./pages";
import { Palette } from "./palette";
import { Keys, ShortcutDialog } from "./shortcut-list";
import { listenForShortcuts } from "./shortcuts";
import { toggleTheme, useTheme } from "./theme";
import { Title } from "./titles";
import { Tour } from "./tour";

type Shown = "palette" | "shortcuts" | null;

export function Shell({ children }: { children: ReactNode }): ReactElement {
  const path = usePath();
  const [shown, setShown] = useState<Shown>(null);
  const needsBackup = useNeedsBackup();
  const main = useFocusOnNewPage(`${pageOf(path)?.path ?? ""} ${marketOf(path) ?? ""}`);
  useOwnCommands(setShown);
  const close = (): void => setShown(null);
  return (
    <div className="shell" style={needsBackup ? WITH_STRIP : undefined}>
      <a className="skip-link" href="#main">
        Skip to content
      </a>
      <Title path={path} />
      <Header path={path} onSearch={() => setShown("palette")} />
      {needsBackup && <BackupStrip />}
      <ConnectionBanner />
      <main id="main" ref={main} tabIndex={-1}>
        <ErrorBoundary label="This page" resetKey={path}>
          {children}
        </ErrorBoundary>
      </main>
      <BottomBar path={path} />
      <Palette open={shown === "palette"} onClose={close} />
      <ShortcutDialog open={shown === "shortcuts"} onClose={close} />
      <Tour active={pageOf(path)?.path === "/trade"} />
      <OrderNotices />
      <Confirms />
      <Toasts />
    </div>
  );
}

// What is as high as the window counts the strip in.
const WITH_STRIP = { "--strip": "44px", "--header": "96px" } as CSSProperties;

function Header({ path, onSearch }: { path: string; onSearch(): void }): ReactElement {
  const home = useHomeMarket();
  return (
    <header className="header">
      <Link to="/trade" className="logo" aria-label="Exchange, to the market">
        <Logo />
        <span className="logo-name">Exchange</span>
      </Link>
      {/* The trade page has it beside the price. */}
      {pageOf(path)?.path !== "/trade" && (
        <div className="header-market">
          <MarketSwitcher market={home} />
        </div>
      )}
      <nav className="header-pages" aria-label="Pages">
        <PageLinks path={path} />
      </nav>
      <div className="header-end">
        <Connection />
        <Button size="s" className="search-button" aria-keyshortcuts="Control+K" onClick={onSearch}>
          <Icon name="search" size={14} />
          <span className="visually-hidden">Search commands</span>
          <span aria-hidden="true">
            <Keys keys="mod+k" />
          </span>
        </Button>
        <ThemeSwitch />
        <Account />
      </div>
    </header>
  );
}

function BottomBar({ path }: { path: string }): ReactElement {
  return (
    <nav className="bottom-bar" aria-label="Pages">
      <PageLinks path={path} />
    </nav>
  );
}

function PageLinks({ path }: { path: string }): ReactElement {
  const here = pageOf(path);
  return (
    <>
      {PAGES.filter((page) => page.main).map((page) => (
        <Link key={page.path} to={page.path} aria-current={page === here ? "page" : undefined}>
          <Icon name={page.icon} size={20} />
          <span>{page.title}</span>
        </Link>
      ))}
    </>
  );
}

function ThemeSwitch(): ReactElement {
  const isDark = useTheme() === "dark";
  return (
    <IconButton
      className="theme-switch"
      icon={isDark ? "sun" : "moon"}
      label={isDark ? "Use the light theme" : "Use the dark theme"}
      onClick={toggleTheme}
    />
  );
}

function Logo(): ReactElement {
  return (
    <svg width={26} height={26} viewBox="0 0 32 32" aria-hidden="true">
      <rect width="32" height="32" rx="7" fill="var(--accent-fill)" />
      <path d="M7 12h13l-4-4M25 20H12l4 4" fill="none" stroke="#fff" strokeWidth="3" strokeLinecap="round" strokeLinejoin="round" />
    </svg>
  );
}

/** A new page, or market, begins at its beginning for those who hear it, too; not the first, which the browser begins. */
function useFocusOnNewPage(page: string): RefObject<HTMLElement | null> {
  const main = useRef<HTMLElement>(null);
  const before = useRef(page);
  useEffect(() => {
    if (before.current === page) return;
    before.current = page;
    main.current?.focus({ preventScroll: true });
  }, [page]);
  return main;
}

function useOwnCommands(show: (shown: Shown) => void): void {
  useEffect(() => {
    const stops = [
      ...PAGES.map((page) =>
        registerCommand({
          id: `page-${page.path}`,
          title: `Go to ${page.title.toLowerCase()}`,
          group: "Pages",
          keys: page.keys,
          keywords: page.keywords,
          run: () => navigate(page.path),
        }),
      ),
      registerCommand({ id: "theme", title: "Switch between dark and light", group: "Settings", keys: "t", run: toggleTheme }),
      registerCommand({ id: "palette", title: "Search commands", group: "Help", keys: "mod+k", run: () => show("palette") }),
      registerCommand({ id: "shortcuts", title: "Keyboard shortcuts", group: "Help", keys: "?", run: () => show("shortcuts") }),
      listenForShortcuts(),
    ];
    return () => stops.forEach((stop) => stop());
  }, [show]);
}
