export const product = 'Latchkey example';

export function Brand() {
  return (
    <span className="brand">
      <svg viewBox="0 0 32 32" aria-hidden="true">
        <rect width="32" height="32" rx="8" />
        <circle cx="11.5" cy="16" r="4.5" />
        <path d="M16 16h9.5v4M21 16v3" />
      </svg>
      {product}
    </span>
  );
}
