import { Component, type ReactNode } from 'react';
import { Button } from './Button';
import { Heading } from './Heading';

/** Keeps a fault of this program from leaving an empty page. */
export class ErrorBoundary extends Component<{ children: ReactNode }, { failed: boolean }> {
  override state = { failed: false };

  static getDerivedStateFromError() {
    return { failed: true };
  }

  override render() {
    if (!this.state.failed) {
      return this.props.children;
    }
    return (
      <main id="main" className="page" tabIndex={-1}>
        <Heading>Something went wrong</Heading>
        <div className="notice notice-danger">
          <p role="alert">This page has made a mistake. Loading it again helps.</p>
          <Button onClick={() => location.reload()}>Load the page again</Button>
        </div>
      </main>
    );
  }
}
