// @vitest-environment jsdom
import { act, createElement, StrictMode, type ReactNode } from 'react';
import { createRoot, hydrateRoot, type Root } from 'react-dom/client';
import { renderToString } from 'react-dom/server';
import { afterEach, beforeEach, expect, it, vi } from 'vitest';
import type { Session } from '../src/index.js';
import { SessionProvider, useSession, type UsedSession } from '../src/react.js';
import { password, revokeElsewhere, server, signUp } from './server.js';

Object.assign(globalThis, { IS_REACT_ACT_ENVIRONMENT: true });

let used: UsedSession[] = [];
function Who(): ReactNode {
  const session = useSession();
  used.push(session);
  const { state } = session;
  return state.status === 'signedIn' ? `signed in as ${state.user.email}` : state.status;
}

const page = (session: Session) => createElement(StrictMode, null, createElement(SessionProvider, { session }, createElement(Who)));

let root: Root | undefined;
let container: HTMLElement;
beforeEach(async () => {
  used = [];
  container = document.body.appendChild(document.createElement('div'));
  await server.forget();
});
afterEach(() => {
  act(() => root?.unmount());
  root = undefined;
  vi.restoreAllMocks();
});

async function render(session: Session): Promise<void> {
  root = createRoot(container);
  await act(async () => root!.render(page(session)));
}

it('renders anew when who is signed in changes, and only then', async () => {
  const { session, email } = await signUp();
  await render(session);
  expect(container.textContent).toBe(`signed in as ${email}`);
  const renderings = used.length;
  await act(async () => void (await used[0]!.refresh()));
  expect(used.length).toBe(renderings);

  await act(() => used[0]!.signOut());
  expect(container.textContent).toBe('signedOut');
  await act(async () => void (await used[0]!.logIn({ email, password })));
  expect(container.textContent).toBe(`signed in as ${email}`);
  expect(await used[0]!.accessToken()).toBe(await session.accessToken());
  session.close();
});

it('has functions that stay the same', async () => {
  const person = await signUp();
  await render(person.session);
  await act(() => revokeElsewhere(person));
  await act(async () => void (await person.session.refresh()));
  expect(used.at(-1)!.state).toMatchObject({ status: 'signedOut', endReason: 'REVOKED' });
  for (const name of ['signUp', 'logIn', 'signOut', 'refresh', 'accessToken'] as const) {
    expect(new Set(used.map((session) => session[name])).size).toBe(1);
  }
  const before = used.at(-1);
  await act(async () => root!.render(page(person.session)));
  expect(used.at(-1)).toBe(before); // and so may the whole stand among the dependencies of an effect
  person.session.close();
});

it('takes over what a server rendered', async () => {
  const { session, email } = await signUp();
  const complaints = vi.spyOn(console, 'error');
  container.innerHTML = renderToString(page(session));
  expect(container.textContent).toBe('resuming');
  const mismatches: unknown[] = [];
  await act(async () => {
    root = hydrateRoot(container, page(session), { onRecoverableError: (error) => mismatches.push(error) });
  });
  expect(container.textContent).toBe(`signed in as ${email}`);
  expect([mismatches, complaints.mock.calls]).toEqual([[], []]);
  session.close();
});

it('listens no longer than it is shown', async () => {
  const { session } = await signUp();
  await render(session);
  act(() => root!.unmount());
  root = undefined;
  const renderings = used.length;
  const complaints = vi.spyOn(console, 'error');
  await session.signOut();
  expect([used.length, complaints.mock.calls]).toEqual([renderings, []]);
  session.close();
});

it('says what is missing outside of a provider', () => {
  expect(() => renderToString(createElement(Who))).toThrow(/<SessionProvider session=/);
});
