// Errors of the OAuth endpoints: the codes of the standards, and the text for the log beside the one for the caller.

/** RFC 6749 §5.2, RFC 8707 §2, RFC 9396 §5, RFC 9449 §5. */
export type OAuthErrorCode =
  | 'invalid_authorization_details'
  | 'invalid_dpop_proof'
  | 'invalid_request'
  | 'invalid_client'
  | 'invalid_grant'
  | 'invalid_scope'
  | 'invalid_target'
  | 'temporarily_unavailable'
  | 'unauthorized_client'
  | 'unsupported_grant_type'
  | 'unsupported_token_type'
  | 'use_dpop_nonce';

/** Body of an error (RFC 6749 §5.2). */
export interface OAuthError {
  readonly error: OAuthErrorCode;
  readonly error_description: string;
}

export interface OAuthFailure {
  readonly ok: false;
  readonly error: OAuthError;
  /** For the log; it is never shown to the caller. */
  readonly why: string;
}

export function failure(error: OAuthErrorCode, description: string, why = description): OAuthFailure {
  return { ok: false, error: { error, error_description: description }, why };
}
