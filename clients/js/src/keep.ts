/**
 * Where the refresh token is kept with the delivery BODY: `localStorage`, or anything of that shape that all tabs of
 * an origin share, synchronous or not, such as AsyncStorage of React Native.
 */
export interface TokenStorage {
  getItem(key: string): string | null | Promise<string | null>;
  setItem(key: string, value: string): unknown;
  removeItem(key: string): unknown;
}

/** What outlives a page. */
export interface Keep {
  /** Whether somebody may be signed in, so that it is worth asking the server. */
  maySignIn(): Promise<boolean>;
  /** The refresh token, or null where it is in a cookie or there is none. Read it anew each time: tabs share it. */
  refreshToken(): Promise<string | null>;
  signedIn(sessionId: string, refreshToken: string | null): Promise<void>;
  /** signedOut forgets a session, unless what is kept is of another one by now. Null: whichever it is. */
  signedOut(sessionId: string | null): Promise<void>;
}

/** keepToken keeps a refresh token in a storage; what the storage loses is remembered for as long as the page lives. */
export function keepToken(storage: TokenStorage | null, key: string): Keep {
  interface Kept {
    readonly sessionId: string;
    readonly refreshToken: string;
  }
  let mine: Kept | null = null;
  let isStored = storage !== null; // otherwise what is in the storage is older

  async function read(): Promise<Kept | null> {
    if (!storage || !isStored) {
      return mine;
    }
    try {
      const kept: Kept | null = JSON.parse((await storage.getItem(key)) ?? 'null');
      return kept && typeof kept.refreshToken === 'string' ? kept : null;
    } catch {
      return mine; // blocked, or not of ours
    }
  }

  async function remove(): Promise<void> {
    try {
      await storage?.removeItem(key);
    } catch {
      // Blocked. After a sign-out it is dead at the server all the same.
    }
  }

  return {
    maySignIn: async () => (await read()) !== null,
    refreshToken: async () => (await read())?.refreshToken ?? null,
    async signedIn(sessionId, refreshToken) {
      mine = refreshToken === null ? null : { sessionId, refreshToken };
      try {
        await storage?.setItem(key, JSON.stringify(mine));
        isStored = true;
      } catch {
        isStored = false; // full or blocked: this page stays signed in
        await remove();
      }
    },
    async signedOut(sessionId) {
      const kept = await read();
      if (sessionId !== null && kept && kept.sessionId !== sessionId) {
        return;
      }
      mine = null;
      isStored = true;
      await remove();
    },
  };
}

// Pages of another origin may set the cookie too, and cannot take the note back.
const believedFor = 5 * 60_000;

/**
 * keepCookie keeps nothing but a note of whether there may be a refresh cookie, which no script can see: a page on
 * which nobody is signed in then need not ask. Without a note, or a place for one, it may be.
 */
export function keepCookie(key: string): Keep {
  const nobody = 'nobody since ';
  const note = {
    read(): string | null {
      try {
        return globalThis.localStorage?.getItem(key) ?? null;
      } catch {
        return null;
      }
    },
    write(text: string): void {
      try {
        globalThis.localStorage?.setItem(key, text);
      } catch {
        // Blocked: then the next page asks.
      }
    },
  };
  return {
    async maySignIn() {
      const noted = note.read();
      const since = noted?.startsWith(nobody) ? Date.now() - Number(noted.slice(nobody.length)) : null;
      return since === null || !(since >= 0 && since < believedFor);
    },
    refreshToken: async () => null,
    async signedIn(sessionId) {
      note.write(sessionId);
    },
    async signedOut(sessionId) {
      const noted = note.read();
      if (sessionId === null || noted === null || noted === sessionId) {
        note.write(nobody + Date.now());
      }
    },
  };
}
