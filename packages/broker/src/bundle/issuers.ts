// Compiles `issuers` of countersign.yaml: whose tokens are believed, with the defaults of their kind.
import type { JsonObject } from '@countersign/contract/json.ts';
import type { PresetName, TrustedIssuer } from '#rules/federation.ts';
import { FOREIGN_LIFE_MAX_MS, issuerPresets } from '#rules/issuer-presets.ts';
import { parseDuration } from './duration.ts';
import { hintFor } from './mistake.ts';

type Wrong = (pointer: string, message: string, hint?: string) => void;

const SKEW_DEFAULT = '30s';
const SKEW_MAX_MS = 60_000;
/** Issuers that speak for whoever holds an account there: no tenant of the vendor is meant. */
const SHARED_ISSUER = /\/(common|organizations|consumers|\{[^}]*\})(\/|$)/;

export interface IssuerWorld {
  readonly tenants: readonly string[];
  /** Keys of bound context that the file declares. */
  readonly context: readonly string[];
  /** Those of them that a read has to confirm before a run is opened with them. */
  readonly verified: readonly string[];
}

/** `issuers` has the shape of the schema. What is wrong with addresses is asked of the floor that knows. */
export function issuersOf(
  issuers: readonly JsonObject[],
  world: IssuerWorld,
  wrong: Wrong,
): readonly TrustedIssuer[] {
  const names = new Set<string>();
  const urls = new Set<string>();
  return issuers.map((value, index) => {
    const at = (key: string): string => `/issuers/${index}${key}`;
    const issuer = issuerOf(value, world, (key, message, hint) => wrong(at(key), message, hint));
    if (names.has(issuer.name)) wrong(at('/name'), `the issuer "${issuer.name}" exists twice`);
    names.add(issuer.name);
    // A token has one reading: its issuer and its type choose the entry.
    const spoken = `${issuer.preset === 'id-jag' ? 'grants' : 'tokens'} of ${issuer.url}`;
    if (urls.has(spoken)) wrong(at('/issuer'), `the ${spoken} are listed twice`, 'list each issuer once');
    urls.add(spoken);
    return issuer;
  });
}

function issuerOf(value: JsonObject, world: IssuerWorld, wrong: Wrong): TrustedIssuer {
  const name = value.name as PresetName;
  const preset = (value.preset as PresetName | undefined) ?? 'oidc';
  const known = issuerPresets[preset];
  const url = (value.issuer as string | undefined) ?? known.issuer ?? '';
  checkUrl(url, preset, value, wrong);
  const max_life_ms =
    value.max_life === undefined ? known.max_life_ms : parseDuration(value.max_life as string);
  if (max_life_ms > FOREIGN_LIFE_MAX_MS)
    wrong('/max_life', 'expected at most 24h', 'a token that lives longer is a secret to keep');
  const skew_ms = parseDuration((value.skew as string | undefined) ?? SKEW_DEFAULT);
  if (skew_ms > SKEW_MAX_MS) wrong('/skew', 'expected at most 60s');
  if (value.once === false && !known.reusable && known.once)
    wrong(
      '/once',
      `tokens of preset ${preset} are used once`,
      'leave once away; a fresh token is one request',
    );
  return {
    name,
    preset,
    url,
    audience: (value.audience as string | undefined) ?? null,
    algorithms: (value.algorithms as readonly string[] | undefined) ?? known.algorithms,
    jwks_uri: (value.jwks_uri as string | undefined) ?? null,
    max_life_ms,
    skew_ms,
    once: (value.once as boolean | undefined) ?? known.once,
    allow_private: (value.allow_private as TrustedIssuer['allow_private'] | undefined) ?? false,
    tenants: tenantsOf(value, world, wrong),
    user_context: userContextOf(value, preset, world, wrong),
  };
}

function checkUrl(url: string, preset: PresetName, value: JsonObject, wrong: Wrong): void {
  const known = issuerPresets[preset].issuer;
  if (url === '') wrong('', `missing "issuer"`, `preset ${preset} has no issuer that is the same for all`);
  else if (SHARED_ISSUER.test(url))
    wrong('/issuer', 'this issuer stands for every tenant of the vendor', 'name the one tenant');
  else if (url.startsWith('spiffe://')) {
    if (preset !== 'spiffe') wrong('/issuer', 'a trust domain has preset spiffe');
    if (value.jwks_uri === undefined)
      wrong('', 'missing "jwks_uri"', 'a trust domain has no discovery: name its bundle endpoint');
  } else if (known !== null && url !== known && !isLoopback(url)) {
    wrong('/issuer', `preset ${preset} is the issuer ${known}`, 'leave issuer away, or use preset oidc');
  }
}

/** A stand-in on one's own machine, for trying things out. */
function isLoopback(url: string): boolean {
  return URL.canParse(url) && ['127.0.0.1', '[::1]', 'localhost'].includes(new URL(url).hostname);
}

function tenantsOf(value: JsonObject, { tenants }: IssuerWorld, wrong: Wrong): readonly string[] {
  const listed = value.tenants as readonly string[] | undefined;
  if (listed === undefined) {
    // Whoever runs several tenants says for which of them an issuer speaks: never for all by default.
    if (tenants.length > 1) wrong('', 'missing "tenants"', `known: ${[...tenants].sort().join(', ')}`);
    return tenants;
  }
  listed.forEach((tenant, index) => {
    if (!tenants.includes(tenant))
      wrong(`/tenants/${index}`, `no tenant "${tenant}"`, hintFor(tenant, tenants));
  });
  return listed;
}

function userContextOf(
  value: JsonObject,
  preset: PresetName,
  { context, verified }: IssuerWorld,
  wrong: Wrong,
): string | null {
  const key = value.user_context as string | undefined;
  if (key === undefined) return null;
  if (preset !== 'id-jag') wrong('/user_context', 'only the tokens of preset id-jag name a user to bind');
  else if (!context.includes(key))
    wrong('/user_context', `no declared context key "${key}"`, hintFor(key, context));
  // A grant opens its run at the token endpoint, where nothing is read: bound there, the value would pass unconfirmed.
  else if (verified.includes(key))
    wrong('/user_context', `"${key}" has a verifier, which no grant waits for; bind a key without one`);
  return key;
}
