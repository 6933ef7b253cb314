import type { SessionUser } from '@latchkey/client';
import { useEffect } from 'react';
import { Brand } from '../ui/Brand';
import { ErrorBoundary } from '../ui/ErrorBoundary';
import { Devices } from './Devices';
import { Password } from './Password';
import { Profile } from './Profile';
import { SignOut } from './SignOut';

const home = { address: '#/profile', name: 'Profile', Screen: Profile };
const screens = [
  home,
  { address: '#/devices', name: 'Devices', Screen: Devices },
  { address: '#/password', name: 'Password', Screen: Password },
];

/** The frame of all that a person sees who is signed in. */
export function SignedIn({ address, user }: { address: string; user: SessionUser }) {
  const shown = screens.find((screen) => screen.address === address);
  useEffect(() => {
    if (!shown) {
      location.replace(home.address);
    }
  }, [shown]);
  const { Screen } = shown ?? home;
  return (
    <>
      <a className="skip-link" href="#main" onClick={skip}>
        Skip to the content
      </a>
      <header className="bar">
        <Brand />
        <nav aria-label="Main">
          <ul>
            {screens.map(({ address, name }) => (
              <li key={address}>
                <a href={address} aria-current={shown?.address === address ? 'page' : undefined}>
                  {name}
                </a>
              </li>
            ))}
          </ul>
        </nav>
        <span className="who">{user.email}</span>
        <SignOut />
      </header>
      <ErrorBoundary key={address}>
        <main id="main" className="page" tabIndex={-1}>
          <Screen user={user} />
        </main>
      </ErrorBoundary>
    </>
  );
}

// What follows the # names the screen here, so the link must not change it.
function skip(event: { preventDefault(): void }): void {
  event.preventDefault();
  document.getElementById('main')?.focus();
}
