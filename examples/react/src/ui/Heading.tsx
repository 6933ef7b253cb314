import { product } from './Brand';

/** The heading of a screen, and the title of the page with it. The focus comes here when the screen changes. */
export function Heading({ id, children }: { id?: string; children: string }) {
  return (
    <>
      <title>{`${children} – ${product}`}</title>
      <h1 id={id} tabIndex={-1}>
        {children}
      </h1>
    </>
  );
}
