// Reads what stands behind a reference, for this one use; what cannot be read is told by its reference only.
import { MintRefused } from './mint-refused.ts';
import type { ReadSecret } from './provider.ts';

/** The text without the line break that ends most files. Rejects as the reader does. */
export async function textBehind(reference: string, readSecret: ReadSecret): Promise<string> {
  return (await readSecret(reference)).replace(/\r?\n$/, '');
}

/** Of a provider that cannot do without it. Throws `MintRefused`. */
export async function secretOf(reference: string, readSecret: ReadSecret): Promise<string> {
  let text: string;
  try {
    text = await textBehind(reference, readSecret);
  } catch {
    throw new MintRefused(`the secret behind ${reference} cannot be read`);
  }
  if (text === '') throw new MintRefused(`the secret behind ${reference} is empty`);
  return text;
}
