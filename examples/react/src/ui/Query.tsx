import type { ReactNode } from 'react';
import { errorInWords } from '../words';
import { Button } from './Button';
import { ProblemNotice } from './Notice';

interface QueryProps<Data> {
  /** What useQuery returned. */
  result: {
    readonly data?: Data | undefined;
    readonly previousData?: Data | undefined;
    readonly error?: unknown;
    refetch(): Promise<unknown>;
  };
  /** What is in its place until there is something to show; as large as that. */
  skeleton: ReactNode;
  children: (data: Data) => ReactNode;
}

/** Shows what a query found, also while it is asked again and when that fails. */
export function Query<Data>({ result, skeleton, children }: QueryProps<Data>) {
  const data = result.data ?? result.previousData;
  const problem = result.error ? errorInWords(result.error) : null;
  // The error is shown when it comes.
  const tryAgain = () => result.refetch().catch(() => {});
  return (
    <>
      {data ? children(data) : !problem && skeleton}
      {problem && (
        <ProblemNotice problem={problem} focus={false}>
          <Button onClick={tryAgain}>Try again</Button>
        </ProblemNotice>
      )}
    </>
  );
}
