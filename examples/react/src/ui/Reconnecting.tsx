import type { SessionError } from '@latchkey/client';

/** Says that the server cannot be asked at present. It lies above the page and takes no room in it. */
export function Reconnecting({ trouble }: { trouble: SessionError | null }) {
  return (
    <p role="status" className="reconnecting">
      {trouble?.temporary && 'Reconnecting…'}
    </p>
  );
}
