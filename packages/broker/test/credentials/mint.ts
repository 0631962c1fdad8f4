// What a provider of a connector gives, or why it gives nothing, as a test wants one of the two.
import assert from 'node:assert/strict';
import { type Credential, type CredentialProvider, FOR_CONNECTION } from '#rules/credential.ts';

export async function mint(provider: CredentialProvider): Promise<Credential> {
  const minted = await provider.mint(FOR_CONNECTION);
  assert.ok(minted.ok, minted.ok ? '' : minted.reason);
  return minted.credential;
}

export async function whyNot(provider: CredentialProvider): Promise<string> {
  const minted = await provider.mint(FOR_CONNECTION);
  assert.ok(!minted.ok, 'there is a credential');
  return minted.reason;
}
