// Signs requests of a connector with the keys of a session: whoever asks for the request never has them.
import { createHash } from 'node:crypto';
import { AwsV4Signer } from 'aws4fetch';
import type { RequestToSign } from '#rules/credential.ts';
import type { Assumed } from './session.ts';

/** What the signature itself is made of; other headers of the request stay outside of it. */
const ADDED = ['authorization', 'x-amz-date', 'x-amz-security-token', 'x-amz-content-sha256'];

/** AWS Signature Version 4, body included, in headers. */
export function signingWith(
  session: Assumed,
  { service, region }: { readonly service: string; readonly region: string },
  clock: { now(): number },
): (request: RequestToSign) => Promise<Readonly<Record<string, string>>> {
  return async ({ method, url, headers, body }) => {
    const own = Object.entries(headers).filter(
      ([name]) => name.startsWith('x-amz-') && !ADDED.includes(name),
    );
    const digest = createHash('sha256')
      .update(body ?? '')
      .digest('hex');
    const signer = new AwsV4Signer({
      ...{ method, url, service, region, datetime: amzDate(clock.now()) },
      headers: [...own, ['x-amz-content-sha256', digest]],
      accessKeyId: session.access_key_id,
      secretAccessKey: session.secret_access_key,
      sessionToken: session.session_token,
    });
    const { headers: signed } = await signer.sign();
    return Object.fromEntries([...signed].filter(([name]) => ADDED.includes(name)));
  };
}

/** ISO 8601 in its basic form, as the signature wants it. */
export function amzDate(now_ms: number): string {
  return new Date(now_ms).toISOString().replace(/[:-]|\.\d{3}/g, '');
}
