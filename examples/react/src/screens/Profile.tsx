import { useQuery } from '@apollo/client/react';
import { MeDocument } from '@latchkey/client/operations';
import { onDay } from '../dates';
import { Heading } from '../ui/Heading';
import { Query } from '../ui/Query';
import { roleInWords } from '../words';
import { Activity } from './Activity';

export function Profile() {
  const result = useQuery(MeDocument);
  return (
    <>
      <Heading>Profile</Heading>
      <div className="columns">
        <section className="card" aria-labelledby="account">
          <h2 id="account">Account</h2>
          <Query result={result} skeleton={<div className="skeleton account-skeleton" />}>
            {({ me }) =>
              me && (
                <dl className="account">
                  <dt>Name</dt>
                  <dd>{me.name ?? 'Not given'}</dd>
                  <dt>E-mail</dt>
                  <dd>{me.email}</dd>
                  <dt>Member since</dt>
                  <dd>{onDay(me.createdAt)}</dd>
                  <dt>Role</dt>
                  <dd>{roleInWords[me.role]}</dd>
                </dl>
              )
            }
          </Query>
        </section>
        <section className="card" aria-labelledby="activity">
          <h2 id="activity">Recent activity</h2>
          <Activity />
        </section>
      </div>
    </>
  );
}
