import { useSession } from '@latchkey/client/react';
import { useState } from 'react';
import { Button } from '../ui/Button';
import { ProblemNotice } from '../ui/Notice';
import { errorInWords, type Problem } from '../words';

export function SignOut() {
  const { signOut } = useSession();
  const [busy, setBusy] = useState(false);
  const [problem, setProblem] = useState<Problem | null>(null);

  async function onClick(): Promise<void> {
    setBusy(true);
    setProblem(null);
    await signOut().catch((error: unknown) => setProblem(errorInWords(error)));
    setBusy(false);
  }

  return (
    <>
      <Button busy={busy} onClick={onClick}>
        Sign out
      </Button>
      {problem && (
        <div className="toast">
          <ProblemNotice problem={problem}>
            <p>You are still signed in.</p>
            <Button onClick={() => setProblem(null)}>Close</Button>
          </ProblemNotice>
        </div>
      )}
    </>
  );
}
