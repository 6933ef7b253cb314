import { useQuery } from '@apollo/client/react';
import { MySessionEventsDocument, type AccountEventFragment } from '@latchkey/client/operations';
import { useState } from 'react';
import { atMinute } from '../dates';
import { Button } from '../ui/Button';
import { ProblemNotice } from '../ui/Notice';
import { Query } from '../ui/Query';
import { errorInWords, eventInWords, worrying, type Problem } from '../words';

const pageSize = 8;

/** What happened to the account, page by page. */
export function Activity() {
  const result = useQuery(MySessionEventsDocument, { variables: { first: pageSize }, fetchPolicy: 'cache-and-network' });
  const [firstNew, setFirstNew] = useState<number | null>(null);
  const [problem, setProblem] = useState<Problem | null>(null);
  const [busy, setBusy] = useState(false);

  async function showMore(shown: number, after: string | null): Promise<void> {
    setBusy(true);
    setProblem(null);
    setFirstNew(shown);
    await result.fetchMore({ variables: { after } }).catch((error: unknown) => setProblem(errorInWords(error)));
    setBusy(false);
  }

  return (
    <Query result={result} skeleton={<div className="skeleton events-skeleton" />}>
      {({ me }) =>
        me && (
          <>
            <ul className="events" role="list" aria-labelledby="activity">
              {me.sessionEvents.edges.map(({ node }, index) => (
                <Event key={node.id} event={node} focus={index === firstNew} />
              ))}
            </ul>
            {problem && <ProblemNotice problem={problem} />}
            {me.sessionEvents.pageInfo.hasNextPage && (
              <Button busy={busy} onClick={() => showMore(me.sessionEvents.edges.length, me.sessionEvents.pageInfo.endCursor)}>
                Show more
              </Button>
            )}
          </>
        )
      }
    </Query>
  );
}

// The focus goes on where reading does: to the first event that was not there before.
function Event({ event, focus }: { event: AccountEventFragment; focus: boolean }) {
  return (
    <li className={worrying.has(event.kind) ? 'event event-worrying' : 'event'} tabIndex={-1} ref={focus ? takeFocus : null}>
      <p>{eventInWords(event)}</p>
      <p className="muted">
        <time dateTime={event.createdAt}>{atMinute(event.createdAt)}</time>
        {[event.client, event.ip].map((detail) => detail && ` · ${detail}`)}
      </p>
    </li>
  );
}

function takeFocus(element: HTMLElement | null): void {
  element?.focus();
}
