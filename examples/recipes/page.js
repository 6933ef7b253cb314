// The page around a recipe: a form, five queries at once, and a way out. Nothing here is about refreshing.
import { LOG_IN, QUERIES, SIGN_OUT, SIGN_UP } from './operations.js';
import { accessToken, forgetTokens, keepTokens } from './tokens.js';

/**
 * @param {object} client
 * @param {(query: string) => Promise<object>} client.query asks the server, never a cache; returns data, or throws
 * @param {(mutation: string, variables?: object) => Promise<object>} client.mutate the same
 * @param {() => unknown} client.reset forgets what belongs to the person who was signed in
 */
export function startPage({ query, mutate, reset }) {
  const part = (id) => document.getElementById(id);

  function showWhoIsSignedIn() {
    const signedIn = accessToken() !== null;
    part('status').textContent = signedIn ? 'Signed in' : 'Not signed in';
    part('form').hidden = signedIn;
    part('account').hidden = !signedIn;
  }

  // act does what a button is for, and says what went wrong.
  async function act(action) {
    part('alert').textContent = '';
    try {
      await action();
    } catch (error) {
      part('alert').textContent = error.message;
    }
  }

  async function signIn(mutation) {
    const { email, password } = Object.fromEntries(new FormData(part('form')));
    const [outcome] = Object.values(await mutate(mutation, { input: { email, password, delivery: 'BODY' } }))
      .filter((value) => value?.__typename);
    if (outcome.__typename !== 'AuthSuccess') {
      throw new Error(outcome.message); // a wrong password, for example
    }
    await reset();
    keepTokens(outcome);
  }

  async function load() {
    part('results').replaceChildren();
    const outcomes = await Promise.allSettled(QUERIES.map(query));
    part('results').replaceChildren(...outcomes.map(({ status, value, reason }) => {
      const item = document.createElement('li');
      item.className = status;
      item.textContent = status === 'fulfilled' ? JSON.stringify(value.me) : reason.message;
      return item;
    }));
  }

  async function signOut() {
    await mutate(SIGN_OUT);
    forgetTokens();
    await reset();
  }

  part('form').addEventListener('submit', (event) => {
    event.preventDefault();
    act(() => signIn(LOG_IN));
  });
  part('sign-up').addEventListener('click', () => act(() => signIn(SIGN_UP)));
  part('load').addEventListener('click', () => act(load));
  part('sign-out').addEventListener('click', () => act(signOut));
  window.addEventListener('tokens', showWhoIsSignedIn);
  window.addEventListener('storage', showWhoIsSignedIn); // another tab signed in or out
  showWhoIsSignedIn();
}
