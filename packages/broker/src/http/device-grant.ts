// The token endpoint for a command line (RFC 8628 §3.4): it asks whether a person has confirmed its code.
import { CLI_CLIENT, redeemDevice } from '#admin/device-login.ts';
import type { World } from '#call/world.ts';
import type { Answer } from './route.ts';

export async function giveToDevice(world: World, form: URLSearchParams): Promise<Answer> {
  const [code] = form.getAll('device_code');
  const told =
    form.get('client_id') === CLI_CLIENT && code !== undefined
      ? await redeemDevice(world, code)
      : ({ ok: false, error: 'invalid_grant' } as const);
  if (!told.ok) {
    const error_description = 'See RFC 8628 §3.5; codes are used once, within ten minutes.';
    return { status: 400, body: { error: told.error, error_description } };
  }
  const { token: access_token, expires_in } = told;
  return { status: 200, body: { access_token, token_type: 'Bearer', expires_in } };
}
