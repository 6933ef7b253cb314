import { useEffect, useId, useRef, useState, type ComponentProps, type ReactNode } from 'react';
import type { Problem } from '../words';

interface FieldProps extends ComponentProps<'input'> {
  label: string;
  hint?: string;
  /** What is wrong with it. The focus moves here. */
  problem?: Problem | null;
  children?: ReactNode;
}

export function Field({ label, hint, problem, children, ...input }: FieldProps) {
  const id = useId();
  const element = useRef<HTMLInputElement>(null);
  useEffect(() => {
    if (problem) {
      element.current?.focus();
    }
  }, [problem]);
  return (
    <div className="field">
      <label htmlFor={id}>{label}</label>
      <div className="field-input">
        <input {...input} id={id} ref={element} aria-invalid={problem ? true : undefined} aria-describedby={`${id}-note`} />
        {children}
      </div>
      <p id={`${id}-note`} className={problem ? 'field-problem' : 'field-hint'}>
        {problem?.text ?? hint}
      </p>
    </div>
  );
}

export function PasswordField({ label, ...rest }: Omit<FieldProps, 'type' | 'children'>) {
  const [shown, setShown] = useState(false);
  return (
    <Field label={label} type={shown ? 'text' : 'password'} autoCapitalize="none" spellCheck={false} required {...rest}>
      <button type="button" className="field-toggle" onClick={() => setShown(!shown)}>
        {shown ? 'Hide' : 'Show'}
        <span className="visually-hidden"> {label.toLowerCase()}</span>
      </button>
    </Field>
  );
}
