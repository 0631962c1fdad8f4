// Where a secret goes: a header of HTTP requests, or a variable of a program's environment; and which may carry one.
import type { Credential } from '#rules/credential.ts';

/** As options of a connector give it: exactly one of header and env. */
export interface Injection {
  readonly header?: string;
  /** Before the secret in the header. */
  readonly prefix?: string;
  readonly env?: string;
}

const HEADER_NAME = /^[!#$%&'*+\-.^_`|~0-9A-Za-z]+$/;
/** Headers that belong to the protocol or to the connection; a credential must not overwrite them. */
const TAKEN = /^(host|content-.*|accept.*|connection|transfer-encoding|mcp-.*|te|trailer|upgrade|expect)$/i;
/** Variables that make a program load foreign code. */
const LOADER = /^(NODE_OPTIONS|NODE_PATH|LD_.*|DYLD_.*|BASH_ENV|ENV|PATH)$/;

export function mayBeHeader(name: string): boolean {
  return HEADER_NAME.test(name) && !TAKEN.test(name);
}

export function mayBeVariable(name: string): boolean {
  return /^[A-Za-z_][A-Za-z0-9_]*$/.test(name) && !LOADER.test(name);
}

/** What is wrong with an injection, by pointer. */
export function injectionMistakes({
  header,
  prefix,
  env,
}: Injection): { pointer: string; message: string }[] {
  const mistakes: { pointer: string; message: string }[] = [];
  if ((header === undefined) === (env === undefined))
    mistakes.push({ pointer: '', message: 'expected exactly one of header and env' });
  if (header !== undefined && !mayBeHeader(header))
    mistakes.push({ pointer: '/header', message: 'that is not a header that a credential may set' });
  if (prefix !== undefined && header === undefined)
    mistakes.push({ pointer: '/prefix', message: 'a prefix goes with header' });
  if (env !== undefined && !mayBeVariable(env))
    mistakes.push({ pointer: '/env', message: 'that is not a variable that a credential may set' });
  return mistakes;
}

/** The secret in its place; null where a header cannot carry it. */
export function inject(secret: string, { header, prefix = '', env }: Injection): Credential['inject'] | null {
  if (header === undefined) return { env: { [env!]: secret } };
  return /^[\x20-\x7e]+$/.test(secret) ? { headers: { [header.toLowerCase()]: prefix + secret } } : null;
}
