import { useSession } from '@latchkey/client/react';
import { useEffect, useState } from 'react';
import { Brand, product } from '../ui/Brand';
import { Button } from '../ui/Button';
import { ListSkeleton } from '../ui/ListSkeleton';
import { ProblemNotice } from '../ui/Notice';
import { errorInWords, type Problem } from '../words';

/** What is shown while it is not known who is signed in: nothing at first, then the outline of the page. */
export function Resuming() {
  const { accessToken } = useSession();
  const [problem, setProblem] = useState<Problem | null>(null);

  // The session asks the server by itself. This only tells when that came to nothing.
  useEffect(() => {
    accessToken().catch((error: unknown) => setProblem(errorInWords(error)));
  }, [accessToken]);

  function tryAgain(): void {
    setProblem(null);
    accessToken().catch((error: unknown) => setProblem(errorInWords(error)));
  }

  return (
    <div className="resuming">
      <title>{product}</title>
      <header className="bar">
        <Brand />
      </header>
      <main className="page" aria-busy={!problem}>
        <h1 className="visually-hidden">One moment…</h1>
        {problem ? (
          <ProblemNotice problem={problem} focus={false}>
            <Button onClick={tryAgain}>Try again</Button>
          </ProblemNotice>
        ) : (
          <>
            <div className="heading-skeleton" />
            <ListSkeleton />
          </>
        )}
      </main>
    </div>
  );
}
