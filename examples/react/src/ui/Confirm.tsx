import { useEffect, useId, useRef, type ReactNode } from 'react';
import { Button } from './Button';

interface ConfirmProps {
  title: string;
  children: ReactNode;
  /** What the button that goes on says. */
  action: string;
  onConfirm: () => void;
  onDismiss: () => void;
}

/** Asks before something is done. The browser keeps the focus inside, and gives it back. */
export function Confirm({ title, children, action, onConfirm, onDismiss }: ConfirmProps) {
  const id = useId();
  const dialog = useRef<HTMLDialogElement>(null);
  useEffect(() => {
    if (!dialog.current?.open) {
      dialog.current?.showModal();
    }
  }, []);
  return (
    <dialog
      ref={dialog}
      className="dialog"
      aria-labelledby={`${id}-title`}
      aria-describedby={`${id}-text`}
      closedby="any"
      onClose={(event) => (event.currentTarget.returnValue === 'confirmed' ? onConfirm() : onDismiss())}
    >
      <form method="dialog">
        <h2 id={`${id}-title`}>{title}</h2>
        <p id={`${id}-text`}>{children}</p>
        <div className="dialog-actions">
          <Button type="submit">Cancel</Button>
          <Button type="submit" look="danger" value="confirmed">
            {action}
          </Button>
        </div>
      </form>
    </dialog>
  );
}
