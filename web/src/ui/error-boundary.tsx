/** A part that fails says so in its own place; the rest of the page goes on. */

import { Component, type ErrorInfo, type ReactNode } from "react";

import { Button } from "./button";
import { Empty } from "./empty";

interface Props {
  /** What is inside: "The chart" */
  label?: string | undefined;
  /** Another value is another try: the path of the page */
  resetKey?: string | undefined;
  /** Before it is tried again */
  onAgain?: (() => void) | undefined;
  children: ReactNode;
}

interface State {
  failed: boolean;
  resetKey: string | undefined;
}

export class ErrorBoundary extends Component<Props, State> {
  override state: State = { failed: false, resetKey: this.props.resetKey };

  static getDerivedStateFromError(): Partial<State> {
    return { failed: true };
  }

  static getDerivedStateFromProps(props: Props, state: State): Partial<State> | null {
    return props.resetKey === state.resetKey ? null : { failed: false, resetKey: props.resetKey };
  }

  override componentDidCatch(error: Error, info: ErrorInfo): void {
    console.error(error, info.componentStack);
  }

  private tryAgain(): void {
    this.props.onAgain?.();
    this.setState({ failed: false });
  }

  override render(): ReactNode {
    if (!this.state.failed) return this.props.children;
    return (
      <div role="alert">
        <Empty
          icon="alert"
          title={`${this.props.label ?? "This part"} stopped working`}
          detail="Your money and your orders are not affected. Trying again, or loading the page anew, usually helps."
          action={
            <div className="row">
              <Button kind="primary" onClick={() => this.tryAgain()}>
                Try again
              </Button>
              <Button onClick={() => location.reload()}>Load the page anew</Button>
            </div>
          }
        />
      </div>
    );
  }
}
