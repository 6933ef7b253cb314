import { useEffect, useRef, useSyncExternalStore } from 'react';

/** useAddress returns what follows the # in the address: it names the screen, and outlives a reload. */
export function useAddress(): string {
  return useSyncExternalStore(subscribe, () => location.hash);
}

function subscribe(listener: () => void): () => void {
  addEventListener('hashchange', listener);
  return () => removeEventListener('hashchange', listener);
}

/** useFocusOnHeading moves the focus to the heading when another screen is shown, but not to that of the first one. */
export function useFocusOnHeading(screen: string | null): void {
  const shown = useRef<string | null>(null);
  useEffect(() => {
    if (shown.current !== null && shown.current !== screen) {
      focusHeading();
    }
    shown.current = screen;
  }, [screen]);
}

export function focusHeading(): void {
  document.querySelector('h1')?.focus();
}
