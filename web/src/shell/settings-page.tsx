/** What can be set: for this browser, and the keys that trade for the person. */

import { type ReactElement, type ReactNode, useId } from "react";

import { AgentsPage } from "../agent/agents-page";
import { Link, navigate } from "../router";
import { Button } from "../ui/button";
import { ErrorBoundary } from "../ui/error-boundary";
import { Segments } from "../ui/segments";
import { Switch } from "../ui/switch";
import { changeSettings, type ThemeChoice, useSettings } from "./settings";
import { ShortcutList } from "./shortcut-list";
import { beginTour } from "./tour";

const THEMES: { value: ThemeChoice; label: string }[] = [
  { value: "system", label: "As the system" },
  { value: "dark", label: "Dark" },
  { value: "light", label: "Light" },
];

const TOUR_AFTER_MS = 600;

export default function SettingsPage(): ReactElement {
  const settings = useSettings();
  return (
    <div className="page narrow">
      <div className="page-head">
        <h1>Settings</h1>
      </div>
      <Section title="Appearance">
        <div className="row spread wrap">
          <span>Theme</span>
          <Segments label="Theme" value={settings.theme} options={THEMES} onChange={(theme) => changeSettings({ theme })} />
        </div>
      </Section>
      <Section title="Trading">
        <Switch
          label="Ask before an order is sent"
          hint="Shows the order once more. Without it, orders go out at once."
          checked={settings.confirmOrders}
          onChange={(confirmOrders) => changeSettings({ confirmOrders })}
        />
      </Section>
      <ErrorBoundary label="The list of trading keys">
        <AgentsPage />
      </ErrorBoundary>
      <Section title="Keyboard" className="desktop-only">
        <Switch
          label="Single-key shortcuts"
          hint="Keys such as B and S act at once when no field has the focus."
          checked={settings.shortcuts}
          onChange={(shortcuts) => changeSettings({ shortcuts })}
        />
        <ShortcutList />
      </Section>
      <Section title="About">
        <div className="row wrap">
          <Button icon="info" onClick={showTour}>
            Show the tour again
          </Button>
          <Link to="/proof" className="button quiet m">
            Check that your money is there
          </Link>
          <a href="/docs" className="button quiet m">
            API documentation
          </a>
        </div>
        <p className="muted small">
          Charts are drawn with Lightweight Charts by <a href="https://www.tradingview.com/">TradingView</a>.
        </p>
      </Section>
    </div>
  );
}

interface SectionProps {
  title: string;
  className?: string;
  children: ReactNode;
}

function Section({ title, className = "", children }: SectionProps): ReactElement {
  const id = useId();
  return (
    <section className={`panel ${className}`} aria-labelledby={id}>
      <header className="panel-head">
        <h2 id={id}>{title}</h2>
      </header>
      <div className="panel-body stack">{children}</div>
    </section>
  );
}

function showTour(): void {
  navigate("/trade");
  setTimeout(beginTour, TOUR_AFTER_MS); // when the page it speaks of is there
}
