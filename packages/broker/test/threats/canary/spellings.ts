// How a secret may be written down, by an own reading of the encodings, and where in some bytes one of them stands.

/** Name of the spelling → text. Of base64 the part that only depends on the secret, at each alignment. */
export function spellingsOf(secret: string): Readonly<Record<string, string>> {
  const bytes = Buffer.from(secret, 'utf8');
  const percent = encodeURIComponent(secret);
  const quoted = JSON.stringify(secret).slice(1, -1);
  return {
    plain: secret,
    url: percent,
    'url in small letters': percent.replace(/%../g, (code) => code.toLowerCase()),
    quoted,
    'quoted twice': JSON.stringify(quoted).slice(1, -1),
    hex: bytes.toString('hex'),
    HEX: bytes.toString('hex').toUpperCase(),
    'base64 at the start': core(bytes, 0),
    'base64 after one': core(bytes, 1),
    'base64 after two': core(bytes, 2),
  };
}

function core(bytes: Buffer, before: number): string {
  const text = Buffer.concat([Buffer.alloc(before, 'x'), bytes]).toString('base64url');
  // The letter that shares bits with what stands before, and the one that shares them with what follows.
  return text.slice(before === 0 ? 0 : before + 1, Math.floor(((before + bytes.length) * 8) / 6));
}

export interface Planted {
  readonly name: string;
  readonly secret: string;
}

/** What of the planted secrets is in the bytes, as `name, spelling`. Both alphabets of base64 count. */
export function leaksIn(bytes: Uint8Array, planted: readonly Planted[]): string[] {
  const text = Buffer.from(bytes).toString('latin1');
  const safe = text.replaceAll('+', '-').replaceAll('/', '_');
  return planted.flatMap(({ name, secret }) =>
    Object.entries(spellingsOf(secret))
      .filter(([how, spelling]) => (how.startsWith('base64') ? safe : text).includes(spelling))
      .map(([how]) => `${name}, ${how}`),
  );
}
