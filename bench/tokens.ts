// Measures what checking and issuing tokens costs, beside jose doing the same in the same run.
import { createHash, generateKeyPairSync, type KeyObject, randomBytes, sign } from 'node:crypto';
import { EmbeddedJWK, jwtVerify, SignJWT } from 'jose';
import { AccessTokenVerifier, issueAccessToken } from '../packages/broker/src/identity/access-token.ts';
import { type Proof, ProofReader } from '../packages/broker/src/identity/dpop/proof.ts';
import { Replays } from '../packages/broker/src/identity/dpop/replays.ts';
import { signingKey } from '../packages/broker/src/identity/signing-key.ts';
import type { Agent } from '../packages/broker/src/rules/principal.ts';

const ISSUER = 'https://broker.example';
const URL = `${ISSUER}/v1/calls`;
const ROUNDS = 5;
const NOW_MS = Date.now();

const pair = generateKeyPairSync('ed25519');
const ours = signingKey(pair.privateKey);
const principal: Agent = {
  ...{
    kind: 'agent',
    name: 'bench',
    tenant: 'default',
    status: 'active',
    keys: [],
    identities: [],
    owner: 'olga',
  },
  ...{ purpose: 'bench', roles: [], mode: 'act' },
};
const issue = (n: number): string =>
  issueAccessToken(ours, {
    ...{ issuer: ISSUER, principal, resource: 'v1', run_id: null, token_id: `t${n}`, now_ms: NOW_MS },
    ttl_ms: 300_000,
  }).token;

interface Measured {
  readonly ours_us: number;
  readonly jose_us: number;
}

/** CPU time of one `work`, the best of some rounds: what disturbs a round only ever adds. */
async function cpu_us(count: number, work: (n: number) => unknown): Promise<number> {
  let best = Number.POSITIVE_INFINITY;
  for (let round = 0; round < ROUNDS; round++) {
    const begun = process.cpuUsage();
    for (let n = 0; n < count; n++) {
      const done = work(round * count + n);
      if (done instanceof Promise) await done;
    }
    const { user, system } = process.cpuUsage(begun);
    best = Math.min(best, (user + system) / count);
  }
  return best;
}

async function tokens(): Promise<{ cached: Measured; first: Measured; issued: Measured }> {
  const verifier = new AccessTokenVerifier(ours);
  const token = issue(0);
  const check = (text: string): void => {
    if (verifier.verify(text, NOW_MS)?.subject !== 'bench') throw new Error('a good token was refused');
  };
  const joseCheck = async (text: string): Promise<void> => {
    const { payload } = await jwtVerify(text, pair.publicKey, {
      issuer: ISSUER,
      audience: `${ISSUER}/v1`,
      typ: 'at+jwt',
    });
    if (payload.sub !== 'bench') throw new Error('jose refused a good token');
  };
  if (verifier.verify(`${token.slice(0, -8)}AAAAAAAA`, NOW_MS) !== null)
    throw new Error('a forged token was taken');
  check(token);
  const many = Array.from({ length: ROUNDS * 400 }, (_, n) => issue(n + 1));
  const jose_us = await cpu_us(400, (n) => joseCheck(many[n]!));
  const joseIssue = () =>
    new SignJWT({ sub: 'bench', client_id: 'bench', tenant: 'default', kind: 'agent' })
      .setProtectedHeader({ alg: 'EdDSA', typ: 'at+jwt', kid: ours.kid })
      .setIssuer(ISSUER)
      .setAudience(`${ISSUER}/v1`)
      .setJti('t')
      .setIssuedAt()
      .setExpirationTime('5m')
      .sign(pair.privateKey);
  return {
    cached: { ours_us: await cpu_us(200_000, () => check(token)), jose_us },
    first: { ours_us: await cpu_us(400, (n) => check(many[n]!)), jose_us },
    issued: { ours_us: await cpu_us(400, (n) => issue(n)), jose_us: await cpu_us(400, joseIssue) },
  };
}

const segment = (value: unknown): string => Buffer.from(JSON.stringify(value)).toString('base64url');

function prover(alg: 'ES256' | 'EdDSA', ath: string): () => string {
  const { privateKey, publicKey } =
    alg === 'ES256' ? generateKeyPairSync('ec', { namedCurve: 'P-256' }) : generateKeyPairSync('ed25519');
  const header = segment({ typ: 'dpop+jwt', alg, jwk: publicKey.export({ format: 'jwk' }) });
  return () => {
    const claims = {
      jti: randomBytes(12).toString('base64url'),
      htm: 'POST',
      htu: URL,
      iat: NOW_MS / 1000,
      ath,
    };
    const text = `${header}.${segment(claims)}`;
    return `${text}.${seal(alg, text, privateKey).toString('base64url')}`;
  };
}

function seal(alg: 'ES256' | 'EdDSA', text: string, key: KeyObject): Buffer {
  return sign(alg === 'EdDSA' ? null : 'sha256', Buffer.from(text), { key, dsaEncoding: 'ieee-p1363' });
}

async function proofs(alg: 'ES256' | 'EdDSA'): Promise<Measured> {
  const ath = createHash('sha256').update(issue(0)).digest('base64url');
  const make = prover(alg, ath);
  const made = Array.from({ length: ROUNDS * 400 }, make);
  const reader = new ProofReader();
  const replays = new Replays(120_000);
  const request = { method: 'POST', url: URL, ath };
  const check = (n: number): void => {
    const proof = reader.read(made[n]!, request, NOW_MS) as Proof;
    if (proof.id === undefined || !replays.isFresh(proof.id, NOW_MS))
      throw new Error('a good proof was refused');
    replays.use(proof.id);
  };
  const seen = new Set<string>();
  const joseCheck = async (n: number): Promise<void> => {
    const { payload } = await jwtVerify(made[n]!, EmbeddedJWK, { typ: 'dpop+jwt', algorithms: [alg] });
    const { htm, htu, jti } = payload as { htm: string; htu: string; jti: string };
    if (htm !== 'POST' || htu !== URL || payload.ath !== ath || seen.has(jti))
      throw new Error('jose refused');
    seen.add(jti);
  };
  const jose_us = await cpu_us(400, joseCheck);
  const ours_us = await cpu_us(400, check);
  if (replays.isFresh((reader.read(made[0]!, request, NOW_MS) as Proof).id, NOW_MS))
    throw new Error('a replay was taken');
  return { ours_us, jose_us };
}

const { cached, first, issued } = await tokens();
const rows: readonly (readonly [string, Measured])[] = [
  ['token check, remembered', cached],
  ['token check, first time', first],
  ['token issued (signature)', issued],
  ['proof check ES256', await proofs('ES256')],
  ['proof check EdDSA', await proofs('EdDSA')],
];
for (const [what, { ours_us, jose_us }] of rows) {
  const ratio = (jose_us / ours_us).toFixed(1);
  console.log(
    `${what.padEnd(26)} ${ours_us.toFixed(2).padStart(9)} µs CPU   jose ${jose_us.toFixed(1).padStart(7)} µs   ${ratio} times`,
  );
}
console.log(`tokens signed per second of one core: ${Math.round(1e6 / issued.ours_us)}`);
