// Opens the keys that wrap the data keys of the sealed store, from where countersign.yaml says they are.
import { randomBytes } from 'node:crypto';
import { join } from 'node:path';
import type { Settings } from '#bundle/bundle.ts';
import { createDiscoveredNetwork } from '#connectors/discovered-network.ts';
import { createLocalKeys, freshKeyText, type KeyEncryption } from '#credentials/sealed/key-encryption.ts';
import { createTransit } from '#credentials/sealed/transit.ts';
import { openKeyringFile } from '#identity/keyring-file.ts';

export interface SealingKeys {
  readonly keys: KeyEncryption;
  close(): Promise<void>;
}

/** `readPlain`: the value behind `env:` or `file:`, which `sealed:` cannot be. Rejects where the keys are not to be had. */
export async function openSealingKeys(
  { sealing, data_dir }: Pick<Settings, 'sealing' | 'data_dir'>,
  readPlain: (reference: string) => Promise<string>,
): Promise<SealingKeys> {
  if (sealing.kind === 'transit') {
    const network = createDiscoveredNetwork(sealing.allow_private);
    return {
      keys: createTransit(sealing, (url, what) => network.send(url, what), readPlain),
      close: () => network.close(),
    };
  }
  const close = async (): Promise<void> => {};
  if (sealing.kind === 'key') {
    const text = await readPlain(sealing.reference);
    const { reference: where } = sealing;
    return { keys: createLocalKeys({ where, read: () => text, replace: null, random: randomBytes }), close };
  }
  const where = join(data_dir, 'keys', 'sealing.keys');
  const file = openKeyringFile(where, () => freshKeyText(randomBytes));
  return { keys: createLocalKeys({ where, ...file, random: randomBytes }), close };
}
