// Reads what stands behind a reference, for this one use; what cannot be read is told by its reference only.
import { MintRefused } from './mint-refused.ts';
import type { ReadSecret } from './provider.ts';

/** The text without the line break that ends most files. */
export async function secretOf(reference: string, readSecret: ReadSecret): Promise<string> {
  let text: string;
  try {
    text = (await readSecret(reference)).replace(/\r?\n$/, '');
  } catch {
    throw new MintRefused(`the secret behind ${reference} cannot be read`);
  }
  if (text === '') throw new MintRefused(`the secret behind ${reference} is empty`);
  return text;
}
