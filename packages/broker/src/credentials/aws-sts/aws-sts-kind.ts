// Provider `aws-sts`: a session of an IAM role for one call, cut down by a session policy filled from the call.
import type { Credential } from '#rules/credential.ts';
import type { ProviderKind, ProviderWorld } from '../provider.ts';
import { assumeRole } from './assume-role.ts';
import { type Assumed, type AwsOptions, sessionOf } from './session.ts';
import { signingWith } from './sign-request.ts';

export const awsStsKind: ProviderKind = {
  grade: () => ({
    grade: 'B',
    why: 'A session policy filled from the call, for 15 minutes at least: STS makes no shorter session and ends none.',
  }),
  mistakes(options) {
    const { keys, web_identity } = options as unknown as AwsOptions;
    return (keys === undefined) === (web_identity === undefined)
      ? [{ pointer: '', message: 'expected either keys or web_identity' }]
      : [];
  },
  create(_connector, options, world) {
    const settings = options as unknown as AwsOptions;
    return {
      async mint(request) {
        const session = sessionOf(settings, request);
        if (!session.ok) return session;
        const assumed = await assumeRole(settings, session.parameters, world);
        if (!assumed.ok) return assumed;
        const { access_key_id, secret_access_key, session_token, expires_at_ms } = assumed.value;
        return {
          ok: true,
          credential: {
            // CloudTrail names the session by it: an identifier, not a secret.
            id: `aws-sts:${access_key_id}`,
            expires_at_ms,
            scope: request.scope,
            inject: injectionOf(settings, assumed.value, world),
            secrets: [secret_access_key, session_token],
          },
        };
      },
    };
  },
};

/** A connector over HTTP has its requests signed for `service`; a program has the keys in its environment. */
function injectionOf(
  { service, region }: AwsOptions,
  session: Assumed,
  { clock }: ProviderWorld,
): Credential['inject'] {
  if (service !== undefined) return { sign: signingWith(session, { service, region }, clock) };
  return {
    env: {
      AWS_ACCESS_KEY_ID: session.access_key_id,
      AWS_SECRET_ACCESS_KEY: session.secret_access_key,
      AWS_SESSION_TOKEN: session.session_token,
      AWS_REGION: region,
      AWS_DEFAULT_REGION: region,
    },
  };
}
