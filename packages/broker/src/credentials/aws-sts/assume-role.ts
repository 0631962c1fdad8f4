// Asks STS for a session, signed with the broker's own keys or with a token that the role trusts, and reads the answer.
import { AwsV4Signer } from 'aws4fetch';
import type { ProviderWorld } from '../provider.ts';
import type { Assumed, AwsOptions, SessionParameters } from './session.ts';
import { amzDate } from './sign-request.ts';

type Answer<T> = { readonly ok: true; readonly value: T } | { readonly ok: false; readonly reason: string };

const FORM = 'application/x-www-form-urlencoded; charset=utf-8';
/** Errors that STS documents; any other text of its answer is not repeated. */
const KNOWN = /^[A-Za-z]{3,60}$/;

/** Tags count towards what STS packs the policy into: where it has no room, they go and the policy stays. */
export async function assumeRole(
  options: AwsOptions,
  { required, optional }: SessionParameters,
  world: ProviderWorld,
): Promise<Answer<Assumed>> {
  const all = await ask(options, { ...required, ...optional }, world);
  if (all.ok || all.code !== TOO_LARGE) return all;
  const bare = Object.keys(optional).length === 0 ? all : await ask(options, required, world);
  if (bare.ok || bare.code !== TOO_LARGE) return bare;
  return { ok: false, reason: 'the session policy of this call is too large for STS: name fewer resources' };
}

const TOO_LARGE = 'PackedPolicyTooLarge';

async function ask(
  options: AwsOptions,
  parameters: Readonly<Record<string, string>>,
  world: ProviderWorld,
): Promise<Answer<Assumed> & { readonly code?: string }> {
  const { region, endpoint = `https://sts.${region}.amazonaws.com`, allow_private = false } = options;
  const url = `${endpoint.replace(/\/$/, '')}/`;
  const network = world.network({ allow_private });
  try {
    const request = await signed(options, url, parameters, world);
    const answer = await network.send(url, { method: 'POST', ...request });
    const text = await answer.text();
    if (answer.ok) return readSession(text);
    const code = elementOf(text, 'Code') ?? '';
    const said = KNOWN.test(code) ? ` ${code}` : '';
    return { ok: false, reason: `STS refused with ${answer.status}${said}`, code };
  } catch (error) {
    return { ok: false, reason: `STS could not be asked: ${nameOf(error)}` };
  } finally {
    await network.close();
  }
}

/** What went wrong, without the text of an error that something foreign may have written. */
function nameOf(error: unknown): string {
  if (error instanceof NoSecret) return error.message;
  const { code, name } = error as { readonly code?: unknown; readonly name?: unknown };
  return typeof code === 'string' ? code : String(name);
}

class NoSecret extends Error {}

async function signed(
  { keys, web_identity, region }: AwsOptions,
  url: string,
  parameters: Readonly<Record<string, string>>,
  world: ProviderWorld,
): Promise<{ headers: Record<string, string>; body: string }> {
  const read = async (reference: string): Promise<string> => {
    try {
      return (await world.readSecret(reference)).trim();
    } catch {
      throw new NoSecret(`the secret behind ${reference} cannot be read`);
    }
  };
  const form = (action: string, more: Readonly<Record<string, string>> = {}): string =>
    new URLSearchParams({ Action: action, Version: '2011-06-15', ...parameters, ...more }).toString();
  const headers = { 'content-type': FORM };
  if (keys === undefined) {
    const token = await read(web_identity!.token);
    return { headers, body: form('AssumeRoleWithWebIdentity', { WebIdentityToken: token }) };
  }
  const body = form('AssumeRole');
  const signer = new AwsV4Signer({
    ...{ method: 'POST', url, headers, body, region, service: 'sts' },
    datetime: amzDate(world.clock.now()),
    accessKeyId: await read(keys.access_key_id),
    secretAccessKey: await read(keys.secret),
    ...(keys.session_token === undefined ? {} : { sessionToken: await read(keys.session_token) }),
  });
  const { headers: sent } = await signer.sign();
  // The client sets Host itself, from the address that was signed.
  return { headers: Object.fromEntries([...sent].filter(([name]) => name !== 'host')), body };
}

function readSession(text: string): Answer<Assumed> {
  const [access_key_id, secret_access_key, session_token, expiration] = [
    'AccessKeyId',
    'SecretAccessKey',
    'SessionToken',
    'Expiration',
  ].map((name) => elementOf(text, name) ?? '') as [string, string, string, string];
  const expires_at_ms = Date.parse(expiration);
  const whole = /^[A-Z0-9]{16,128}$/.test(access_key_id) && secret_access_key !== '' && session_token !== '';
  if (!whole || Number.isNaN(expires_at_ms)) return { ok: false, reason: 'STS answered without credentials' };
  return { ok: true, value: { access_key_id, secret_access_key, session_token, expires_at_ms } };
}

/** The text of the first element of that name; what STS answers here nests none and escapes nothing. */
function elementOf(xml: string, name: string): string | null {
  return new RegExp(`<${name}>([^<&]*)</${name}>`).exec(xml)?.[1]?.trim() ?? null;
}
