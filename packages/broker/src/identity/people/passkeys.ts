// Passkeys (WebAuthn): what a browser is asked for, and whether its answer holds: challenge, origin, RP id, user, counter.
import { createHash } from 'node:crypto';
import type { JsonObject } from '@countersign/contract/json.ts';
import type { AuthenticationResponseJSON, RegistrationResponseJSON } from '@simplewebauthn/server';
import type { StoredPasskey } from '#store/passkeys.ts';

/** Where the pages are: passkeys belong to this name, and to no other. */
export interface RelyingParty {
  /** Host name without a port. */
  readonly id: string;
  readonly origin: string;
}

export interface PasskeyOwner {
  readonly tenant: string;
  readonly name: string;
  readonly display_name: string;
}

/** EdDSA, ES256, RS256. */
const ALGORITHMS = [-8, -7, -257];

// Loaded when somebody uses a passkey: a broker whose people do not starts without it.
const library = () => import('@simplewebauthn/server');

/** What is handed to `navigator.credentials.create`; keep its `challenge`. */
export async function registrationOptions(
  party: RelyingParty,
  owner: PasskeyOwner,
  known: readonly StoredPasskey[],
): Promise<{ readonly options: JsonObject; readonly challenge: string }> {
  const { generateRegistrationOptions } = await library();
  const options = await generateRegistrationOptions({
    rpName: 'Countersign',
    rpID: party.id,
    userName: owner.name,
    userDisplayName: owner.display_name,
    userID: new Uint8Array(handleOf(owner)),
    attestationType: 'none',
    supportedAlgorithmIDs: ALGORITHMS,
    excludeCredentials: known.map(({ credential_id }) => ({ id: credential_id })),
    // Discoverable and verified by PIN or biometry: a passkey alone logs in, so it is two factors by itself.
    authenticatorSelection: { residentKey: 'required', userVerification: 'required' },
  });
  return { options: options as unknown as JsonObject, challenge: options.challenge };
}

/** The new credential, or null: nothing that an answer can be wrong in is told. */
export async function checkRegistration(
  party: RelyingParty,
  challenge: string,
  response: JsonObject,
): Promise<Pick<StoredPasskey, 'credential_id' | 'public_key' | 'counter' | 'transports'> | null> {
  const { verifyRegistrationResponse } = await library();
  try {
    const { verified, registrationInfo } = await verifyRegistrationResponse({
      response: response as unknown as RegistrationResponseJSON,
      expectedChallenge: challenge,
      expectedOrigin: party.origin,
      expectedRPID: party.id,
      requireUserVerification: true,
      supportedAlgorithmIDs: ALGORITHMS,
    });
    if (!verified) return null;
    const { id, publicKey, counter, transports = [] } = registrationInfo.credential;
    return {
      credential_id: id,
      public_key: Buffer.from(publicKey).toString('base64url'),
      counter,
      transports: JSON.stringify(transports),
    };
  } catch {
    return null;
  }
}

/** What is handed to `navigator.credentials.get`; it names no credential, so it tells nobody who exists. */
export async function authenticationOptions(
  party: RelyingParty,
): Promise<{ readonly options: JsonObject; readonly challenge: string }> {
  const { generateAuthenticationOptions } = await library();
  const options = await generateAuthenticationOptions({ rpID: party.id, userVerification: 'required' });
  return { options: options as unknown as JsonObject, challenge: options.challenge };
}

/** The counter that the authenticator stands at now, or null where its answer does not hold. */
export async function checkAuthentication(
  party: RelyingParty,
  challenge: string,
  response: JsonObject,
  key: StoredPasskey,
): Promise<number | null> {
  const { verifyAuthenticationResponse } = await library();
  const handle = (response['response'] as JsonObject | undefined)?.['userHandle'];
  if (handle !== undefined && handle !== null) {
    const owner = Buffer.from(handleOf({ tenant: key.tenant, name: key.person })).toString('base64url');
    if (handle !== owner) return null;
  }
  try {
    const { verified, authenticationInfo } = await verifyAuthenticationResponse({
      response: response as unknown as AuthenticationResponseJSON,
      expectedChallenge: challenge,
      expectedOrigin: party.origin,
      expectedRPID: party.id,
      credential: {
        id: key.credential_id,
        publicKey: new Uint8Array(Buffer.from(key.public_key, 'base64url')),
        // A counter that does not rise shows a copied authenticator; those without one stay at 0.
        counter: key.counter,
      },
      requireUserVerification: true,
    });
    return verified ? authenticationInfo.newCounter : null;
  } catch {
    return null;
  }
}

/** The handle that an authenticator keeps for a person: it says no name to whoever holds the authenticator. */
function handleOf({ tenant, name }: Pick<PasskeyOwner, 'tenant' | 'name'>): Uint8Array {
  return createHash('sha256').update(`countersign person\n${tenant}\n${name}`).digest();
}
