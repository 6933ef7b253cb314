import { useMutation } from '@apollo/client/react';
import type { SessionUser } from '@latchkey/client';
import { ChangePasswordDocument } from '@latchkey/client/operations';
import { useState } from 'react';
import { Button } from '../ui/Button';
import { PasswordField } from '../ui/Field';
import { Heading } from '../ui/Heading';
import { ProblemNotice } from '../ui/Notice';
import { useForm } from '../ui/useForm';
import { failureInWords, othersInWords } from '../words';

export function Password({ user }: { user: SessionUser }) {
  const [changePassword] = useMutation(ChangePasswordDocument);
  const [done, setDone] = useState('');
  const { busy, problem, onSubmit } = useForm(async (value) => {
    setDone('');
    const { data } = await changePassword({
      variables: { input: { currentPassword: value('currentPassword'), newPassword: value('newPassword') } },
    });
    const result = data!.changePassword; // without data it throws
    switch (result.__typename) {
      case 'ChangePasswordSuccess':
        setDone(`Your password is changed. ${othersInWords(result.revokedCount)}`);
        return null;
      case 'AuthFailure':
        return failureInWords({ ...result, retryAt: result.retryAt === null ? null : new Date(result.retryAt) });
      default:
        return result satisfies never;
    }
  });
  const atCurrent = problem?.about === 'credentials' ? problem : null;
  const atNew = problem?.about === 'newPassword' ? problem : null;
  return (
    <>
      <Heading>Change password</Heading>
      <section className="card narrow">
        <p className="muted">All other devices are signed out, and need the new password.</p>
        <form className="form" onSubmit={onSubmit}>
          {/* It tells password managers whose password changes. */}
          <input type="text" name="username" autoComplete="username" value={user.email} readOnly hidden />
          <PasswordField
            label="Current password"
            name="currentPassword"
            autoComplete="current-password"
            problem={atCurrent}
          />
          <PasswordField
            label="New password"
            name="newPassword"
            autoComplete="new-password"
            hint="A few words in a row make a good one."
            problem={atNew}
          />
          <Button type="submit" look="primary" busy={busy}>
            Change password
          </Button>
          <p role="status" className="done">
            {done}
          </p>
          {problem && !atCurrent && !atNew && (
            <ProblemNotice problem={problem}>
              {problem.maybeDone && <p>It may have been changed all the same: then the new one is your current password.</p>}
            </ProblemNotice>
          )}
        </form>
      </section>
    </>
  );
}
