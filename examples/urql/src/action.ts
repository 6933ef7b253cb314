import { useRef, useState, type SubmitEvent } from 'react';
import { troubleOf, type Fault } from './words.js';

/** useAction does one thing at a time that people ask for. It tells what went wrong, until they ask again. */
export function useAction<Asked>(act: (asked: Asked) => Promise<Fault | null>) {
  const [busy, setBusy] = useState(false);
  const [fault, setFault] = useState<Fault | null>(null);
  const running = useRef<Promise<Fault | null>>(null);

  async function begin(asked: Asked): Promise<Fault | null> {
    setBusy(true);
    const outcome = await act(asked).catch((error: unknown): Fault => ({ text: troubleOf(error) }));
    running.current = null;
    setBusy(false);
    setFault(outcome);
    return outcome;
  }

  // A second click does nothing more: what it waits for is the first.
  function run(asked: Asked): Promise<Fault | null> {
    return (running.current ??= begin(asked));
  }

  return { busy, fault, run };
}

/** useForm does so with what is in a form. Afterwards it is empty, or the field to mend has the focus. */
export function useForm(send: (fields: Record<string, string>) => Promise<Fault | null>) {
  const { run, ...state } = useAction(send);

  async function onSubmit(event: SubmitEvent<HTMLFormElement>): Promise<void> {
    event.preventDefault();
    const form = event.currentTarget;
    const fields = new FormData(form, event.nativeEvent.submitter);
    const fault = await run(Object.fromEntries(fields) as Record<string, string>); // there is no field for files
    if (!fault) {
      form.reset();
    } else if (fault.field) {
      (form.elements.namedItem(fault.field) as HTMLInputElement | null)?.select();
    }
  }

  return { ...state, onSubmit };
}
