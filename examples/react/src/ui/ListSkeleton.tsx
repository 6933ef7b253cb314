/** Stands for a list until it is there. */
export function ListSkeleton() {
  return (
    <div className="card list">
      <div className="skeleton list-skeleton" />
    </div>
  );
}
