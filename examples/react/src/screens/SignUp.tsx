import { useSession } from '@latchkey/client/react';
import { Button } from '../ui/Button';
import { Field, PasswordField } from '../ui/Field';
import { Heading } from '../ui/Heading';
import { ProblemNotice } from '../ui/Notice';
import { useForm } from '../ui/useForm';
import { failureInWords } from '../words';

interface SignUpProps {
  email: string;
  onEmail: (email: string) => void;
}

export function SignUp({ email, onEmail }: SignUpProps) {
  const { signUp } = useSession();
  const { busy, problem, onSubmit } = useForm(async (value) => {
    const result = await signUp({ email: value('email'), name: value('name'), password: value('password') });
    return result.__typename === 'AuthSuccess' ? null : failureInWords(result);
  });
  const atEmail = problem?.about === 'email' ? problem : null;
  const atPassword = problem?.about === 'newPassword' ? problem : null;
  return (
    <section className="card">
      <Heading>Create an account</Heading>
      <p className="muted">
        Have one already? <a href="#/sign-in">Sign in</a>
      </p>
      <form className="form" onSubmit={onSubmit}>
        <Field label="Name (optional)" name="name" autoComplete="name" />
        <Field
          label="E-mail"
          name="email"
          type="email"
          autoComplete="username"
          required
          value={email}
          onChange={(event) => onEmail(event.target.value)}
          problem={atEmail}
        />
        <PasswordField
          label="Password"
          name="password"
          autoComplete="new-password"
          hint="A few words in a row make a good one."
          problem={atPassword}
        />
        <Button type="submit" look="primary" busy={busy}>
          Create account
        </Button>
        {problem && !atEmail && !atPassword && <ProblemNotice problem={problem} />}
      </form>
    </section>
  );
}
