// Why a credential could not be minted, in words that hold neither secrets nor the issuer's own text.
import type { Credential, Minted } from '#rules/credential.ts';

/** Thrown inside a provider, told at its edge. The message is safe for people and the log. */
export class MintRefused extends Error {
  override readonly name = 'MintRefused';
}

/** Runs a provider's steps, so that whatever they throw is told safely. `what`: the issuer, e.g. `GitHub`. */
export async function minting(what: string, run: () => Promise<Credential>): Promise<Minted> {
  try {
    return { ok: true, credential: await run() };
  } catch (error) {
    return { ok: false, reason: await reasonOf(error, what) };
  }
}

/** The library whose errors are told is loaded where it is needed, by whoever needs it. */
export async function reasonOf(error: unknown, what: string): Promise<string> {
  if (error instanceof MintRefused) return error.message;
  const { asRefusal } = await import('./oauth/refusal.ts');
  return asRefusal(error, what).message;
}
