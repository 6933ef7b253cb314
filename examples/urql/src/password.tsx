import { useState } from 'react';
import { useMutation } from 'urql';
import { useForm } from './action.js';
import { endedInWords, endsSessions } from './devices.js';
import { Field } from './field.js';
import { graphql } from './graphql.js';
import { faultOf } from './words.js';

const ChangePassword = graphql(`
  mutation ChangePassword($input: ChangePasswordInput!) {
    changePassword(input: $input) {
      __typename
      ... on ChangePasswordSuccess {
        revokedCount
      }
      ... on AuthFailure {
        code
        message
        retryAt
      }
    }
  }
`);

/** The form to change the password with, which signs out everywhere else. */
export function Password({ email }: { readonly email: string }) {
  const [, change] = useMutation(ChangePassword);
  const [done, setDone] = useState('');
  const { busy, fault, onSubmit } = useForm(async ({ password = '', newPassword = '' }) => {
    setDone('');
    const { data, error } = await change({ input: { currentPassword: password, newPassword } }, endsSessions);
    const result = data?.changePassword;
    if (!result) {
      throw error;
    }
    switch (result.__typename) {
      case 'ChangePasswordSuccess':
        setDone(`Your password is changed. ${endedInWords(result.revokedCount)}`);
        return null;
      case 'AuthFailure':
        return faultOf(result);
      default:
        return result satisfies never;
    }
  });
  return (
    <section className="card" aria-labelledby="password">
      <h2 id="password">Change password</h2>
      {fault && <p role="alert">{fault.text}</p>}
      <form onSubmit={onSubmit} aria-busy={busy}>
        {/* It tells password managers whose password it is. */}
        <input type="email" autoComplete="username" value={email} readOnly hidden />
        <Field label="Current password" name="password" type="password" autoComplete="current-password" fault={fault} />
        <Field label="New password" name="newPassword" type="password" autoComplete="new-password" fault={fault} />
        <p className="hint">It signs you out everywhere else.</p>
        <div className="buttons">
          <button className="main">Change password</button>
          <p aria-live="polite">{done}</p>
        </div>
      </form>
    </section>
  );
}
