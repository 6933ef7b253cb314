/** What a page lives through. */
export interface PageLife {
  shown(): void;
  hidden(): void;
  online(): void;
  /** The page is left, for the back/forward cache or for good. */
  left(): void;
  /** It has come back from the back/forward cache. */
  back(): void;
}

/** followPage tells what becomes of the page, until the signal is aborted. */
export function followPage(signal: AbortSignal, life: PageLife): void {
  const visible = () => (isVisible() ? life.shown() : life.hidden());
  document.addEventListener('visibilitychange', visible, { signal });
  globalThis.addEventListener('online', () => life.online(), { signal });
  globalThis.addEventListener('pagehide', () => life.left(), { signal });
  const back = ({ persisted }: PageTransitionEvent) => persisted && life.back();
  globalThis.addEventListener('pageshow', back, { signal });
}

/** isVisible tells whether there is a page that somebody may be looking at. */
export function isVisible(): boolean {
  return typeof document === 'object' && document.visibilityState !== 'hidden';
}
