// Decides whether the address of an MCP server over HTTP may stand in a connector file: asked at load and at start.
import type { Json, JsonObject } from '@countersign/contract/json.ts';
import { SECRET_FORMS } from '#bundle/leaked-secrets.ts';
import { type AllowPrivate, checkEndpoint, isAddressOrRange } from '../checked-address.ts';

/** What is wrong with `transport.http`, by JSON pointer into it, and what to do. */
export interface AddressMistake {
  readonly pointer: string;
  readonly message: string;
  readonly hint: string;
}

const SECRET_PARAMETER =
  /(token|secret|passw(or)?d|pwd|credential|signature)|(^|[^a-z])(api|access|private|auth|client|subscription)?[_.-]?key$|^(auth|authorization|sig|code|jwt|sas)$/i;

/** All mistakes of the address; empty when the server may be dialled. Never quotes a secret. */
export function addressMistakes({ url, allow_private = false }: JsonObject): AddressMistake[] {
  if (!isAllowPrivate(allow_private)) {
    const message = 'allow_private must be true, false or a list of addresses or CIDR ranges';
    return [{ pointer: '/allow_private', message, hint: 'write it like [10.1.2.3, 10.2.0.0/16]' }];
  }
  if (typeof url !== 'string' || url === '')
    return [{ pointer: '/url', message: 'url must be a string', hint: 'the endpoint of the server' }];
  const wrong = (message: string, hint: string): AddressMistake[] => [{ pointer: '/url', message, hint }];
  const checked = checkEndpoint(url, allow_private);
  if (typeof checked === 'string') return wrong(checked, hintFor(url));
  if (!holdsSecret(checked)) return [];
  return wrong(
    'the URL carries what looks like a secret',
    'put it in credential.value as env:NAME, file:path or sealed:NAME; it must be taken as known to others',
  );
}

function hintFor(text: string): string {
  const url = URL.canParse(text) ? new URL(text) : null;
  if (url === null) return 'write it like https://mcp.example.com/mcp';
  if (url.username !== '' || url.password !== '')
    return 'a secret is given as env:NAME, file:path or sealed:NAME';
  return url.protocol === 'http:'
    ? 'use https; plain http goes to loopback with allow_private, or to private addresses that it lists'
    : 'say allow_private if an address inside is meant';
}

/** A parameter called like a secret, or anything of a secret's form. Best effort, against slips. */
function holdsSecret({ href, searchParams, hash }: URL): boolean {
  if (SECRET_FORMS.some((form) => form.test(href))) return true;
  const inFragment = new URLSearchParams(hash.slice(1));
  return [...searchParams.keys(), ...inFragment.keys()].some((name) => SECRET_PARAMETER.test(name));
}

function isAllowPrivate(value: Json): value is AllowPrivate & Json {
  if (typeof value === 'boolean') return true;
  return Array.isArray(value) && value.every((each) => typeof each === 'string' && isAddressOrRange(each));
}
