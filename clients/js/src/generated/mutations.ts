/** Internal type. DO NOT USE DIRECTLY. */
type Exact<T extends { [key: string]: unknown }> = { [K in keyof T]: T[K] };
/** Internal type. DO NOT USE DIRECTLY. */
export type Incremental<T> = T | { [P in keyof T]?: P extends ' $fragmentName' | '__typename' ? T[P] : never };
/** Why it was not done. */
export type AuthFailureCode =
  /** There is an account with this e-mail address already. */
  | 'EMAIL_TAKEN'
  /**
   * The e-mail address and the password do not belong together. It is the same whether there is no such
   * account, the account is disabled or the password is wrong. In changePassword: the current password is wrong.
   */
  | 'INVALID_CREDENTIALS'
  /** It is not a refresh token that this server issued, or there was none. Sign in again. */
  | 'INVALID_REFRESH_TOKEN'
  /** The refresh token is genuine, but its session is over; `endReason` says why. Sign in again. */
  | 'SESSION_ENDED'
  /** This server does not take sign-ups. */
  | 'SIGN_UP_CLOSED'
  /**
   * There were too many attempts with a wrong password, at this account or from this network address; `retryAt` says
   * when the next one is let in. The password was not looked at.
   */
  | 'TOO_MANY_ATTEMPTS'
  /** The password must not be chosen; `message` says why. */
  | 'WEAK_PASSWORD';

/** What a person gives to sign in. */
export type LoginInput = {
  /** How the client receives its tokens. */
  readonly delivery?: TokenDelivery;
  /**
   * What the list of sessions shows for this device, such as "Ada's phone", at most 200 characters.
   * Null, absent or blank: no name.
   */
  readonly deviceName?: string | null | undefined;
  /** The e-mail address of the account, in any letter case. */
  readonly email: string;
  /** The password of the account. */
  readonly password: string;
};

/** What a user may do. */
export type Role =
  /** An administrator of this server. */
  | 'ADMIN'
  /** Everybody with an account. */
  | 'USER';

/** Why a session is over. */
export type SessionEndReason =
  /** An operator of the server ended it. */
  | 'ADMIN'
  /** It reached its `expiresAt`. */
  | 'EXPIRED'
  /** It was not refreshed for too long. */
  | 'IDLE'
  /** The password was changed. */
  | 'PASSWORD_CHANGED'
  /**
   * A refresh token was used again after its successor was: either it was stolen, or a client kept an old
   * copy. Which of the two cannot be told, so nobody keeps the session.
   */
  | 'REUSE_DETECTED'
  /** Its user ended it from another session, or signed in to more than there may be while it was the longest unused. */
  | 'REVOKED'
  /** Its user signed out. */
  | 'SIGNED_OUT'
  /** The server's database lost data that it had stored, and cannot tell whether the refresh token is good. */
  | 'STORAGE_ROLLED_BACK'
  /** The account was disabled. */
  | 'USER_DISABLED';

/** What a person gives to open an account. */
export type SignUpInput = {
  /** How the client receives its tokens. */
  readonly delivery?: TokenDelivery;
  /**
   * What the list of sessions shows for this device, such as "Ada's phone", at most 200 characters.
   * Null, absent or blank: no name.
   */
  readonly deviceName?: string | null | undefined;
  /**
   * The e-mail address, at most 254 bytes. Addresses that differ only in letter case, Unicode composition or
   * the spelling of an international domain are one address.
   */
  readonly email: string;
  /** What the person wants to be called, at most 200 characters. Null, absent or blank: no name. */
  readonly name?: string | null | undefined;
  /**
   * The password: any Unicode text of at least the length that this server asks for and of at most 1024
   * bytes. There are no rules about kinds of characters. One that attackers try first, or that is little more
   * than the person's address, the person's name or the name of the service, is WEAK_PASSWORD.
   */
  readonly password: string;
};

/** How a client receives its tokens. */
export type TokenDelivery =
  /** Both tokens in the answer. For programs that have a safe place of their own to keep them. */
  | 'BODY'
  /**
   * Both tokens in cookies that scripts cannot read. For pages that never call another service with the access
   * token.
   */
  | 'COOKIES'
  /**
   * The access token in the answer, the refresh token in a cookie that scripts cannot read. For pages: keep the
   * access token in memory, and get the next one with refreshToken after a reload.
   */
  | 'REFRESH_COOKIE';

export type SignedInFragment = { readonly accessToken: string | null, readonly refreshToken: string | null, readonly accessTokenExpiresAt: string, readonly session: { readonly id: string, readonly createdAt: string }, readonly user: { readonly id: string, readonly email: string, readonly name: string | null, readonly role: Role } };

export type NotSignedInFragment = { readonly code: AuthFailureCode, readonly message: string, readonly retryAt: string | null, readonly endReason: SessionEndReason | null };

export type SignUpMutationVariables = Exact<{
  input: SignUpInput;
}>;


export type SignUpMutation = { readonly signUp:
    | { readonly __typename: 'AuthFailure', readonly code: AuthFailureCode, readonly message: string, readonly retryAt: string | null, readonly endReason: SessionEndReason | null }
    | { readonly __typename: 'AuthSuccess', readonly accessToken: string | null, readonly refreshToken: string | null, readonly accessTokenExpiresAt: string, readonly session: { readonly id: string, readonly createdAt: string }, readonly user: { readonly id: string, readonly email: string, readonly name: string | null, readonly role: Role } }
   };

export type LogInMutationVariables = Exact<{
  input: LoginInput;
}>;


export type LogInMutation = { readonly login:
    | { readonly __typename: 'AuthFailure', readonly code: AuthFailureCode, readonly message: string, readonly retryAt: string | null, readonly endReason: SessionEndReason | null }
    | { readonly __typename: 'AuthSuccess', readonly accessToken: string | null, readonly refreshToken: string | null, readonly accessTokenExpiresAt: string, readonly session: { readonly id: string, readonly createdAt: string }, readonly user: { readonly id: string, readonly email: string, readonly name: string | null, readonly role: Role } }
   };

export type RefreshMutationVariables = Exact<{
  refreshToken?: string | null | undefined;
}>;


export type RefreshMutation = { readonly refreshToken:
    | { readonly __typename: 'AuthFailure', readonly code: AuthFailureCode, readonly message: string, readonly retryAt: string | null, readonly endReason: SessionEndReason | null }
    | { readonly __typename: 'AuthSuccess', readonly accessToken: string | null, readonly refreshToken: string | null, readonly accessTokenExpiresAt: string, readonly session: { readonly id: string, readonly createdAt: string }, readonly user: { readonly id: string, readonly email: string, readonly name: string | null, readonly role: Role } }
   };

export type SignOutMutationVariables = Exact<{
  refreshToken?: string | null | undefined;
}>;


export type SignOutMutation = { readonly revokeSession: { readonly revoked: boolean } };
