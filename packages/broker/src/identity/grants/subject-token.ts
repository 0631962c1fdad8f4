// What a subject token of a token exchange is (RFC 8693 §2.1): its type, and what it lets its bearer ask for.
import type { OAuthFailure } from '../oauth-error.ts';
import type { Granted, TokenContext, TokenRequest } from './grant.ts';

export interface SubjectToken {
  /** Value of `subject_token_type`. */
  readonly type: string;
  /**
   * What the token is good for. `client` of the request is null where none authenticated: a type whose tokens do not
   * prove by themselves who sends them must refuse that.
   */
  readonly read: (
    token: string,
    request: TokenRequest,
    context: TokenContext,
  ) => Promise<Granted | OAuthFailure> | Granted | OAuthFailure;
}
