// Fetches the keys of an issuer: where its file says, or where its discovery document does.
import { parseStrict } from '@countersign/contract/canonical.ts';
import { isJsonObject, type Json } from '@countersign/contract/json.ts';
import type { TrustedIssuer } from '#rules/federation.ts';
import { type IssuerKey, readKeySet } from './issuer-keys.ts';
import type { IssuerNetwork } from './network.ts';

const DOCUMENT_DEPTH_MAX = 8;
const DOCUMENT_BYTES_MAX = 256 * 1024;

/** Keys could not be had; the message is for the log, and quotes nothing that was answered. */
export class KeysRefused extends Error {
  override readonly name = 'KeysRefused';
}

/** Where the keys of the issuer are. Throws KeysRefused. */
export async function locateKeys(issuer: TrustedIssuer, network: IssuerNetwork): Promise<string> {
  if (issuer.jwks_uri !== null) return issuer.jwks_uri;
  const document = await readDocument(discoveryUrl(issuer.url), 'discovery', network);
  if (!isJsonObject(document)) throw new KeysRefused('the discovery document is no JSON object');
  // INVARIANT: an issuer speaks for itself only (OpenID Connect Discovery §4.3): character for character.
  if (document.issuer !== issuer.url) throw new KeysRefused('the discovery document is of another issuer');
  if (typeof document.jwks_uri !== 'string')
    throw new KeysRefused('the discovery document names no jwks_uri');
  return document.jwks_uri;
}

/** The keys at an address. Throws KeysRefused. */
export async function fetchKeys(
  url: string,
  issuer: TrustedIssuer,
  network: IssuerNetwork,
): Promise<readonly IssuerKey[]> {
  const keys = readKeySet(await readDocument(url, 'the key set', network), issuer);
  if (typeof keys === 'string') throw new KeysRefused(keys);
  return keys;
}

/** OpenID Connect Discovery §4: appended to the path, without doubling its last slash. */
function discoveryUrl(issuer: string): string {
  return `${issuer.replace(/\/$/, '')}/.well-known/openid-configuration`;
}

async function readDocument(url: string, what: string, network: IssuerNetwork): Promise<Json> {
  const refused = network.refuse(url);
  if (refused !== null) throw new KeysRefused(`the address of ${what} is not used: ${refused}`);
  const answer = await network.send(url).catch((error: Error) => {
    throw new KeysRefused(`${what} could not be had: ${error.message}`);
  });
  if (answer.status !== 200) throw new KeysRefused(`${what} was answered with HTTP status ${answer.status}`);
  const bytes = new Uint8Array(await answer.arrayBuffer());
  const decoded = parseStrict(bytes, { depth: DOCUMENT_DEPTH_MAX, bytes: DOCUMENT_BYTES_MAX });
  if (!decoded.ok) throw new KeysRefused(`${what} is not strict JSON within its limits`);
  return decoded.value;
}
