// The form body of the token endpoint, and the errors that OAuth clients understand.
import { type Problem, problem } from '@countersign/contract/problem.ts';
import type { FastifyInstance, FastifyReply } from 'fastify';
import type { OAuthError } from '#identity/oauth-error.ts';
import { Refusal, sendJson } from './send-answer.ts';

const FORM_BYTES_MAX = 32_768;
const utf8 = new TextDecoder('utf-8', { fatal: true });

/** Forms, and only forms, in this scope; the body becomes URLSearchParams. */
export function acceptForms(scope: FastifyInstance): void {
  scope.addContentTypeParser(
    'application/x-www-form-urlencoded',
    { parseAs: 'buffer', bodyLimit: FORM_BYTES_MAX },
    (_request, body, done) => {
      try {
        done(null, new URLSearchParams(utf8.decode(body as Buffer)));
      } catch {
        done(new Refusal(problem('invalid_request', 'Expected a form in UTF-8.')));
      }
    },
  );
}

/** RFC 6749 §5.2 for what failed before or beside the exchange itself. */
export function sendOAuthFailure(reply: FastifyReply, why: Problem): FastifyReply {
  const body: OAuthError =
    why.status >= 500
      ? { error: 'temporarily_unavailable', error_description: why.detail }
      : {
          error: 'invalid_request',
          error_description: 'Expected a form: content-type application/x-www-form-urlencoded.',
        };
  return sendJson(reply, why.status, body);
}
