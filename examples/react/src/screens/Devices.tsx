import { useMutation, useQuery } from '@apollo/client/react';
import { MySessionsDocument, RevokeOtherSessionsDocument } from '@latchkey/client/operations';
import { useState } from 'react';
import { focusHeading } from '../address';
import { Button } from '../ui/Button';
import { Confirm } from '../ui/Confirm';
import { Heading } from '../ui/Heading';
import { ListSkeleton } from '../ui/ListSkeleton';
import { ProblemNotice } from '../ui/Notice';
import { Query } from '../ui/Query';
import { errorInWords, othersInWords, type Problem } from '../words';
import { Device } from './Device';

/** Where a person is signed in, and signing out there. */
export function Devices() {
  const result = useQuery(MySessionsDocument, { fetchPolicy: 'cache-and-network' });
  const [revokeOthers, { loading }] = useMutation(RevokeOtherSessionsDocument, { refetchQueries: [MySessionsDocument] });
  const [asking, setAsking] = useState(false);
  const [done, setDone] = useState('');
  const [problem, setProblem] = useState<Problem | null>(null);

  async function report(outcome: Promise<string>): Promise<void> {
    setDone('');
    setProblem(null);
    try {
      setDone(await outcome);
      focusHeading(); // the button that had it is about to go
    } catch (error) {
      setProblem(errorInWords(error));
    }
  }

  async function signOutOthers(): Promise<string> {
    const { data } = await revokeOthers();
    return othersInWords(data?.revokeOtherSessions.revokedCount ?? 0);
  }

  return (
    <>
      <div className="heading">
        <Heading id="devices">Your devices</Heading>
        <Button busy={loading} onClick={() => setAsking(true)}>
          Sign out everywhere else
        </Button>
      </div>
      <div className="outcome">
        <p role="status">{done}</p>
        {problem && <ProblemNotice problem={problem} />}
      </div>
      <Query result={result} skeleton={<ListSkeleton />}>
        {({ me }) =>
          me && (
            <ul className="card list" role="list" aria-labelledby="devices">
              {me.sessions.map((device) => (
                <Device key={device.id} device={device} onSignOut={report} />
              ))}
            </ul>
          )
        }
      </Query>
      {asking && (
        <Confirm
          title="Sign out everywhere else?"
          action="Sign them out"
          onDismiss={() => setAsking(false)}
          onConfirm={() => {
            setAsking(false);
            void report(signOutOthers());
          }}
        >
          All other devices are signed out at once. This one stays signed in.
        </Confirm>
      )}
    </>
  );
}
