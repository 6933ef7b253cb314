import { useState, type SubmitEvent } from 'react';
import { errorInWords, type Problem } from '../words';

/** useForm runs what a form is for, once at a time, and keeps what was wrong. The form is emptied when all went well. */
export function useForm(submit: (values: (name: string) => string) => Promise<Problem | null>) {
  const [busy, setBusy] = useState(false);
  const [problem, setProblem] = useState<Problem | null>(null);

  async function onSubmit(event: SubmitEvent<HTMLFormElement>): Promise<void> {
    event.preventDefault();
    const form = event.currentTarget;
    const data = new FormData(form);
    setBusy(true);
    const found = await submit((name) => String(data.get(name) ?? '')).catch(errorInWords);
    setBusy(false);
    setProblem(found);
    if (!found) {
      form.reset();
    }
  }

  return { busy, problem, onSubmit };
}
