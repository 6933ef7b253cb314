import { useSession } from '@latchkey/client/react';
import { Button } from '../ui/Button';
import { Field, PasswordField } from '../ui/Field';
import { Heading } from '../ui/Heading';
import { ProblemNotice } from '../ui/Notice';
import { useForm } from '../ui/useForm';
import { failureInWords } from '../words';

interface SignInProps {
  email: string;
  onEmail: (email: string) => void;
}

export function SignIn({ email, onEmail }: SignInProps) {
  const { logIn } = useSession();
  const { busy, problem, onSubmit } = useForm(async (value) => {
    const result = await logIn({ email: value('email'), password: value('password') });
    return result.__typename === 'AuthSuccess' ? null : failureInWords(result);
  });
  return (
    <section className="card">
      <Heading>Sign in</Heading>
      <p className="muted">
        New here? <a href="#/sign-up">Create an account</a>
      </p>
      <form className="form" onSubmit={onSubmit}>
        <Field
          label="E-mail"
          name="email"
          type="email"
          autoComplete="username"
          required
          value={email}
          onChange={(event) => onEmail(event.target.value)}
        />
        <PasswordField label="Password" name="password" autoComplete="current-password" />
        <Button type="submit" look="primary" busy={busy}>
          Sign in
        </Button>
        {problem && <ProblemNotice problem={problem} />}
      </form>
    </section>
  );
}
