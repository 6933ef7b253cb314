// Who is signed in. Tokens are held in memory and nowhere else: a reload forgets them, and only the refresh
// cookie, which no script can read, brings the session back.

// What survives a reload is that there may be such a cookie, so that a page without one need not ask.
const hint = 'latchkey:cookie';

const refreshMutation = `mutation Refresh($token: String) {
  refreshToken(input: { refreshToken: $token }) {
    ... on AuthSuccess { accessToken refreshToken }
    ... on AuthFailure { code }
  }
}`;

export class Session {
  #accessToken = null;
  #refreshToken = null;
  #refreshing = null;
  #user = null;
  #listeners = new Set();

  // user is the e-mail address of who is signed in, or null.
  get user() {
    return this.#user;
  }

  // subscribe calls a function whenever user changes, until the function that it returns is called.
  subscribe = (listener) => {
    this.#listeners.add(listener);
    return () => this.#listeners.delete(listener);
  };

  // resume signs in again after a reload, where there is a cookie for it.
  async resume() {
    if (localStorage.getItem(hint)) {
      await this.#askWho();
    }
  }

  // send runs an operation as who is signed in and returns its answer. Where the access token is too old it
  // is refreshed, once, and the operation is sent again: a field that wants a token has not been run.
  async send(params, headers = {}) {
    const names = Object.keys(headers).map((name) => name.toLowerCase());
    const token = this.#accessToken;
    let answer = await this.#post(params, headers);
    if (wantsRefresh(answer) && !names.includes('authorization') && (await this.#refresh(token))) {
      answer = await this.#post(params, headers);
    }
    if (/\bmutation\b/.test(params.query)) {
      this.#learn(answer);
      await this.#askWho();
    }
    return answer;
  }

  // signOut ends the session, here and everywhere. It throws where the server cannot be asked.
  async signOut() {
    const answer = await this.send({ query: 'mutation SignOut { revokeSession { revoked } }' });
    const code = answer.errors?.[0].extensions?.code;
    if (code && code !== 'UNAUTHENTICATED') {
      throw new Error(answer.errors[0].message);
    }
    this.#forget();
  }

  // learn keeps the tokens of an answer, under whatever alias they came.
  #learn(answer) {
    for (const value of Object.values(answer.data ?? {})) {
      if (value && (value.__typename === 'AuthSuccess' || 'accessToken' in value || 'accessTokenExpiresAt' in value)) {
        this.#accessToken = value.accessToken ?? null;
        this.#refreshToken = value.refreshToken ?? null;
        if (this.#refreshToken) {
          localStorage.removeItem(hint);
        } else {
          localStorage.setItem(hint, 'there may be one');
        }
      }
    }
  }

  async #askWho() {
    if (!this.#accessToken && !this.#refreshToken && !localStorage.getItem(hint)) {
      return;
    }
    const who = { query: 'query Who { me { email } }' };
    const token = this.#accessToken;
    let answer = await this.#post(who);
    if (wantsRefresh(answer) && (await this.#refresh(token))) {
      answer = await this.#post(who);
    }
    if (answer.data?.me) {
      this.#setUser(answer.data.me.email);
    } else if (answer.errors?.[0].extensions?.code === 'UNAUTHENTICATED') {
      this.#forget();
    }
  }

  // refresh exchanges the refresh token, for all who ask at once only once, and says whether that worked.
  async #refresh(staleToken) {
    if (!this.#refreshToken && !localStorage.getItem(hint)) {
      return false;
    }
    if (staleToken !== this.#accessToken) {
      return true; // somebody else was faster
    }
    this.#refreshing ??= this.#exchange().finally(() => {
      this.#refreshing = null;
    });
    return this.#refreshing;
  }

  async #exchange() {
    const answer = await this.#post({ query: refreshMutation, variables: { token: this.#refreshToken } });
    const result = answer.data?.refreshToken;
    if (!result) {
      return false; // the server is in trouble: the token is still good
    }
    if (result.code) {
      this.#forget();
      return false;
    }
    this.#accessToken = result.accessToken;
    this.#refreshToken = result.refreshToken;
    return true;
  }

  async #post(params, headers = {}) {
    const authorization = this.#accessToken ? { Authorization: `Bearer ${this.#accessToken}` } : {};
    const response = await fetch('/graphql', {
      method: 'POST',
      headers: {
        Accept: 'application/graphql-response+json',
        'Content-Type': 'application/json',
        ...authorization,
        ...headers,
      },
      body: JSON.stringify(params),
    });
    return response.json();
  }

  #forget() {
    this.#accessToken = null;
    this.#refreshToken = null;
    localStorage.removeItem(hint);
    this.#setUser(null);
  }

  #setUser(user) {
    if (this.#user !== user) {
      this.#user = user;
      this.#listeners.forEach((listener) => listener());
    }
  }
}

// wantsRefresh says whether an operation failed for want of a fresh access token. SESSION_ENDED is not that.
function wantsRefresh(answer) {
  return (answer.errors ?? []).some(
    ({ extensions }) => extensions?.code === 'UNAUTHENTICATED' && extensions.reason !== 'SESSION_ENDED',
  );
}
