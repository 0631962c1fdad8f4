// Why an OAuth step did not come about, in words that hold neither secrets nor an authorization server's own text.
import {
  AuthorizationResponseError,
  OperationProcessingError,
  ResponseBodyError,
  WWWAuthenticateChallengeError,
} from 'oauth4webapi';

/** Thrown inside the room, told at its edge. The message is safe for people and the log. */
export class OauthRefused extends Error {
  override readonly name = 'OauthRefused';
  /** Error code of RFC 6749 §5.2 or §4.1.2.1, when the server gave one. */
  readonly code: string | null;
  constructor(message: string, code: string | null = null) {
    super(message);
    this.code = code;
  }
}

/** Error codes are visible ASCII (RFC 6749 §5.2); descriptions could repeat what was sent, so they are left out. */
const CODE = /^[\x21\x23-\x5b\x5d-\x7e]{1,60}$/;

/** Any error of a step as a refusal. `what`: the step, e.g. `the token endpoint`. */
export function asRefusal(error: unknown, what: string): OauthRefused {
  if (error instanceof OauthRefused) return error;
  if (error instanceof ResponseBodyError || error instanceof AuthorizationResponseError) {
    const code = CODE.test(error.error) ? error.error : 'an error';
    return new OauthRefused(`${what} answered ${code}`, code);
  }
  if (error instanceof WWWAuthenticateChallengeError)
    return new OauthRefused(`${what} answered with HTTP status ${error.status} and a challenge`);
  // The library's messages are fixed texts; what it attaches as cause is never shown.
  if (error instanceof OperationProcessingError) return new OauthRefused(`${what}: ${error.message}`);
  const { name, code, message } = error as NodeJS.ErrnoException;
  const ours = name === 'AddressRefused' || name === 'DiscoveredRefused';
  return new OauthRefused(`${what}: ${ours ? message : (code ?? name)}`);
}

/** Runs a step of the library, so that whatever it throws is told safely. */
export async function step<T>(what: string, run: () => Promise<T> | T): Promise<T> {
  try {
    return await run();
  } catch (error) {
    throw asRefusal(error, what);
  }
}
