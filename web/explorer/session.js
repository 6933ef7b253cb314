// Who is signed in. Tokens are held in memory and nowhere else: a reload forgets them, and only the refresh
// cookie, which no script can read, brings the session back.

// What survives a reload is that there may be such a cookie, so that a page without one need not ask.
const hint = 'latchkey:cookie';

const signOutMutation = `mutation SignOut($token: String) {
  revokeSession(input: { refreshToken: $token }) { revoked }
}`;

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
    await this.#askWho();
  }

  // send runs an operation as who is signed in and returns its answer. Where the access token is too old it
  // is refreshed, once, and the operation is sent again: a field that wants a token has not been run.
  async send(params, headers = {}) {
    if (Object.keys(headers).some((name) => name.toLowerCase() === 'authorization')) {
      return this.#post(params, headers); // as somebody else
    }
    const answer = await this.#postFresh(params, headers);
    if (/\bmutation\b/.test(params.query)) {
      this.#learn(answer);
      await this.#askWho();
    }
    return answer;
  }

  // signOut ends the session, here and everywhere. It throws where the server cannot be asked.
  async signOut() {
    const answer = await this.#postFresh({ query: signOutMutation, variables: { token: this.#refreshToken } });
    if (answer.errors && reasonOf(answer) !== 'SESSION_ENDED') {
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
    if (!this.#accessToken && !this.#canRefresh()) {
      return;
    }
    const answer = await this.#postFresh({ query: 'query Who { me { email } }' });
    if (answer.data?.me) {
      this.#setUser(answer.data.me.email);
    } else if (reasonOf(answer) && !this.#canRefresh()) {
      this.#forget();
    }
  }

  #canRefresh() {
    return Boolean(this.#refreshToken || localStorage.getItem(hint));
  }

  // postFresh posts, and once more with a fresh access token where it was too old. A server in trouble is no
  // reason to forget who is signed in: only SESSION_ENDED is.
  async #postFresh(params, headers) {
    const token = this.#accessToken;
    let answer = await this.#post(params, headers);
    if (reasonOf(answer) && reasonOf(answer) !== 'SESSION_ENDED' && (await this.#refresh(token))) {
      answer = await this.#post(params, headers);
    }
    if (reasonOf(answer) === 'SESSION_ENDED') {
      this.#forget();
    }
    return answer;
  }

  // refresh exchanges the refresh token, for all who ask at once only once, and says whether that worked.
  async #refresh(staleToken) {
    if (!this.#canRefresh()) {
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
    if (!/\bjson\b/.test(response.headers.get('Content-Type'))) {
      throw new Error(`The server, or something before it, answered with HTTP ${response.status}.`);
    }
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

// reasonOf returns why an operation found nobody signed in, or undefined where that was not its trouble.
function reasonOf(answer) {
  return answer.errors?.find(({ extensions }) => extensions?.code === 'UNAUTHENTICATED')?.extensions.reason;
}
