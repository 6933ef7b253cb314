import type { SessionEndReason } from '@latchkey/client';
import { useSession } from '@latchkey/client/react';
import { useForm } from './action.js';
import { Field } from './field.js';
import { faultOf, whyItEnded, type Fault } from './words.js';

/** The form to sign in and to sign up with. It says why the session ended that there was. */
export function SignIn({ endReason }: { readonly endReason: SessionEndReason | null }) {
  const { logIn, signUp } = useSession();
  const { busy, fault, onSubmit } = useForm(async ({ email = '', password = '', how }): Promise<Fault | null> => {
    const result = await (how === 'signUp' ? signUp : logIn)({ email, password });
    switch (result.__typename) {
      case 'AuthSuccess':
        return null;
      case 'AuthFailure': {
        const fault = faultOf(result);
        return fault.field === 'newPassword' ? { ...fault, field: 'password' } : fault; // here one field is for both
      }
      default:
        return result satisfies never;
    }
  });
  const why = endReason && whyItEnded(endReason);
  return (
    <section className="card sign-in" aria-labelledby="sign-in">
      <h1 id="sign-in">Sign in</h1>
      {fault ? <p role="alert">{fault.text}</p> : why && <p role="alert" className="why">{why}</p>}
      <form onSubmit={onSubmit} aria-busy={busy}>
        <Field label="E-mail" name="email" type="email" autoComplete="username" maxLength={254} fault={fault} />
        <Field label="Password" name="password" type="password" autoComplete="current-password" fault={fault} />
        <div className="buttons">
          <button className="main">Sign in</button>
          <button name="how" value="signUp">
            Create account
          </button>
        </div>
      </form>
    </section>
  );
}
