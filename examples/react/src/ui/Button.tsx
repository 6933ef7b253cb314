import type { ComponentProps } from 'react';

interface ButtonProps extends ComponentProps<'button'> {
  look?: 'primary' | 'quiet' | 'danger';
  /** Shows that it works. It stays as large as it is, and keeps the focus. */
  busy?: boolean;
}

export function Button({ look = 'quiet', busy = false, children, onClick, ...rest }: ButtonProps) {
  return (
    <button
      type="button"
      className={`button button-${look}`}
      aria-disabled={busy || undefined}
      data-busy={busy || undefined}
      onClick={busy ? (event) => event.preventDefault() : onClick}
      {...rest}
    >
      <span className="button-label">{children}</span>
    </button>
  );
}
