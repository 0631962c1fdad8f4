// Compiles `identities` of principals: claims that name one principal and nobody else, at issuers that are trusted.
import type { JsonObject } from '@countersign/contract/json.ts';
import {
  type ClaimRule,
  claimRulesOf,
  type FederatedIdentity,
  identitiesOverlap,
  type TrustedIssuer,
} from '#rules/federation.ts';
import { issuerPresets, type Need, type Preset } from '#rules/issuer-presets.ts';
import type { Principal } from '#rules/principal.ts';
import { escapeStep } from '#rules/schema-parts.ts';
import { hintFor, type Mistakes } from './mistake.ts';
import type { Source } from './parse-yaml.ts';

export interface IdentityFile {
  readonly kind: Principal['kind'];
  readonly source: Source;
  readonly value: JsonObject;
}

/** An identity with its place, for telling whom it is shared with. */
export interface PlacedIdentity {
  readonly owner: string;
  readonly source: Source;
  readonly pointer: string;
  readonly identity: FederatedIdentity;
}

type Wrong = (pointer: string, message: string, hint?: string) => void;

/**
 * The identities of one file. `issuers` null: countersign.yaml is broken, and nobody is blamed for what it would
 * declare.
 */
export function identitiesOf(
  { kind, source, value }: IdentityFile,
  tenant: string,
  issuers: readonly TrustedIssuer[] | null,
  mistakes: Mistakes,
): PlacedIdentity[] {
  const listed = (value.identities ?? []) as unknown as readonly FederatedIdentity[];
  return listed.map((identity, index) => {
    const pointer = `/identities/${index}`;
    const issuer = issuers?.find((each) => each.name === identity.issuer);
    const wrong: Wrong = (at, message, hint) =>
      mistakes.error(source.file, source.at(`${pointer}${at}`), message, hint);
    if (issuer !== undefined) checkIdentity(identity, kind, tenant, issuer, wrong);
    else if (issuers !== null) {
      const names = issuers.map((each) => each.name);
      wrong('/issuer', `no issuer "${identity.issuer}" in countersign.yaml`, hintFor(identity.issuer, names));
    }
    return { owner: value.name as string, source, pointer, identity };
  });
}

/** Two principals that one token could name are one identity with two names: an agent could come as its approver. */
export function checkApart(identities: readonly PlacedIdentity[], mistakes: Mistakes): void {
  identities.forEach((one, index) => {
    const other = identities
      .slice(0, index)
      .find((each) => each.owner !== one.owner && identitiesOverlap(each.identity, one.identity));
    if (other === undefined) return;
    const { source, pointer } = one;
    mistakes.error(
      source.file,
      source.at(pointer),
      `one token could be both this and "${other.owner}"`,
      'name a claim in both that tells them apart',
    );
  });
}

function checkIdentity(
  { claims }: FederatedIdentity,
  kind: Principal['kind'],
  tenant: string,
  issuer: TrustedIssuer,
  wrong: Wrong,
): void {
  const preset = issuerPresets[issuer.preset];
  if (!issuer.tenants.includes(tenant))
    wrong('/issuer', `"${issuer.name}" does not speak for tenant "${tenant}"`, 'list it under its tenants');
  if (issuer.preset === 'id-jag' && kind !== 'person')
    wrong(
      '/issuer',
      `"${issuer.name}" vouches for people`,
      'an agent proves itself by a key or as a workload',
    );
  const rules = claimRulesOf(claims);
  for (const need of kind === 'person' ? preset.needs : [...preset.needs, ...preset.workloadNeeds]) {
    if (need.some((path) => rules.some((rule) => same(rule.path, path)))) continue;
    wrong('/claims', `the claims match too much: ${missing(need)} is missing`, preset.why);
  }
  for (const rule of rules)
    checkRule(rule, preset, issuer, (message, hint) => wrong(pointerOf(rule), message, hint));
}

function checkRule(
  { path, values }: ClaimRule,
  { knows, forms }: Preset,
  issuer: TrustedIssuer,
  wrong: (message: string, hint?: string) => void,
): void {
  const name = path.join('.');
  if (knows !== null && !knows.includes(name)) {
    wrong(`tokens of "${issuer.name}" have no claim "${name}"`, hintFor(name, knows));
    return;
  }
  const form = forms.find((each) => same(each.path, path));
  for (const value of values) {
    if (typeof value === 'string' && value.includes('*'))
      wrong(
        `${name} is compared character for character: patterns mean nothing`,
        'list the values that are meant',
      );
    else if (form !== undefined && !(typeof value === 'string' && form.pattern.test(value)))
      wrong(`${name}: expected ${form.expected}`);
    else if (
      issuer.url.startsWith('spiffe://') &&
      name === 'sub' &&
      !String(value).startsWith(`${issuer.url}/`)
    )
      wrong(`"${String(value)}" is not in the trust domain of "${issuer.name}"`);
  }
}

function missing(need: Need): string {
  return need.map((path) => path.join('.')).join(' or ');
}

function same(one: readonly string[], other: readonly string[]): boolean {
  return one.length === other.length && one.every((name, index) => name === other[index]);
}

function pointerOf({ path }: ClaimRule): string {
  return `/claims${path.map((name) => `/${escapeStep(name)}`).join('')}`;
}
