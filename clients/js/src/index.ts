export { createSession } from './session.js';
export type {
  Attempt,
  Authorization,
  LogIn,
  Session,
  SessionOptions,
  SessionState,
  SessionUser,
  SignInResult,
  SignUp,
} from './session.js';
export { hindranceIn, SessionError } from './errors.js';
export type { ErrorInAnswer, Hindrance, UnauthenticatedReason } from './errors.js';
export type { TokenStorage } from './keep.js';
export type { AuthFailureCode, Role, SessionEndReason, TokenDelivery } from './generated/documents.js';
