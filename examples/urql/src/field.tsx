import { useId, type ComponentProps } from 'react';
import type { Fault } from './words.js';

interface FieldProps extends ComponentProps<'input'> {
  readonly label: string;
  readonly name: string;
  readonly fault: Fault | null;
}

/** A field with its label. It is marked where the fault of its form is in it. */
export function Field({ label, fault, ...input }: FieldProps) {
  const id = useId();
  return (
    <>
      <label htmlFor={id}>{label}</label>
      <input id={id} required aria-invalid={fault?.field === input.name} {...input} />
    </>
  );
}
