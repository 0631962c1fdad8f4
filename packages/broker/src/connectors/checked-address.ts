// Decides which network addresses a connector may dial, and dials exactly the address that was checked.
import { lookup as dnsLookup, type LookupAddress } from 'node:dns';
import { BlockList, isIP, type LookupFunction } from 'node:net';
import { buildConnector } from 'undici';

/** `true` allows loopback and private ranges; a list allows exactly these addresses or CIDR ranges. */
export type AllowPrivate = boolean | readonly string[];

export type AddressCheck = (address: string) => string | null;

/** Ranges of one organisation: reachable only when the connector says `allow_private`. */
const PRIVATE_V4 = ['127.0.0.0/8', '10.0.0.0/8', '172.16.0.0/12', '192.168.0.0/16', '100.64.0.0/10'];
const PRIVATE_V6 = ['::1/128', 'fc00::/7'];
/**
 * Never meant for an upstream: "this host", link-local (where clouds keep their metadata service), multicast,
 * reserved, and IPv6 forms that carry an IPv4 address inside (mapped, translated, 6to4, Teredo), which would
 * let a private IPv4 address pass as a public one. Only an explicit list opens them.
 */
const FORBIDDEN_V4 = [
  '0.0.0.0/8',
  '169.254.0.0/16',
  '192.0.0.0/24',
  '192.88.99.0/24',
  '198.18.0.0/15',
  '224.0.0.0/4',
  '240.0.0.0/4',
];
const FORBIDDEN_V6 = [
  '::/128',
  '::/96',
  '::ffff:0:0/96',
  '64:ff9b::/96',
  '64:ff9b:1::/48',
  '100::/64',
  '2001::/32',
  '2002::/16',
  'fe80::/10',
  'fec0::/10',
  'ff00::/8',
];

/** Answers null when the address may be dialled, else why not. Expects a literal IP address. */
export function createAddressCheck(allowPrivate: AllowPrivate): AddressCheck {
  const listed = Array.isArray(allowPrivate)
    ? { v4: rangesOf(allowPrivate, 4), v6: rangesOf(allowPrivate, 6) }
    : null;
  return (address) => {
    const family = isIP(address);
    if (family === 0) return `"${address}" is not an IP address`;
    const type = family === 4 ? 'ipv4' : 'ipv6';
    if (listed?.[family === 4 ? 'v4' : 'v6'].check(address, type)) return null;
    if (family === 6 && isLoopbackV6(address))
      return allowPrivate === true ? null : refusal(address, 'private or loopback');
    const ranges = family === 4 ? RANGES.v4 : RANGES.v6;
    if (ranges.forbidden.check(address, type))
      return `${address} is link-local, unspecified, multicast, reserved or an IPv6 form of an IPv4 address; list it in allow_private if it is meant`;
    if (ranges.private.check(address, type) && allowPrivate !== true)
      return refusal(address, 'private or loopback');
    return null;
  };
}

/**
 * The same for plain http, over which a credential and every answer go in the clear: null for loopback that the
 * connector allows, and for addresses of one's own network that it lists. Never for a public one, listed or not.
 */
export function createPlainCheck(allowPrivate: AllowPrivate): AddressCheck {
  const allowed = createAddressCheck(allowPrivate);
  const reachable = createAddressCheck(false);
  return (address) => {
    const refused = allowed(address);
    if (refused !== null) return refused;
    if (reachable(address) === null)
      return `${address} is public: plain http would show everything on the way`;
    if (Array.isArray(allowPrivate) || isLoopback(address)) return null;
    return `${address} is reached by plain http only where allow_private lists it`;
  };
}

function isLoopback(address: string): boolean {
  return isIP(address) === 6 ? isLoopbackV6(address) : RANGES.loopback4.check(address);
}

function refusal(address: string, what: string): string {
  return `${address} is ${what}; say allow_private on the connector if it is meant`;
}

function isLoopbackV6(address: string): boolean {
  return RANGES.loopback6.check(address, 'ipv6');
}

/** IPv4 and IPv6 rules live in lists of their own: a joint list answers for mapped addresses by itself. */
const RANGES = {
  v4: { private: rangesOf(PRIVATE_V4, 4), forbidden: rangesOf(FORBIDDEN_V4, 4) },
  v6: { private: rangesOf(PRIVATE_V6, 6), forbidden: rangesOf(FORBIDDEN_V6, 6) },
  loopback4: rangesOf(['127.0.0.0/8'], 4),
  loopback6: rangesOf(['::1/128'], 6),
};

function rangesOf(ranges: readonly string[], family: 4 | 6): BlockList {
  const list = new BlockList();
  for (const range of ranges) {
    const [address = '', bits] = range.split('/');
    if (isIP(address) !== family) continue;
    const prefix = bits === undefined ? (family === 4 ? 32 : 128) : Number(bits);
    list.addSubnet(address, prefix, family === 4 ? 'ipv4' : 'ipv6');
  }
  return list;
}

/** A DNS answer named an address that may not be dialled. Nothing was sent. */
export class AddressRefused extends Error {
  override readonly name = 'AddressRefused';
}

/** Dials for a connector: by plain http only what `createPlainCheck` lets pass. */
export function createConnectorConnect(
  allowPrivate: AllowPrivate,
  timeout_ms: number,
): buildConnector.connector {
  return createCheckedConnect(createAddressCheck(allowPrivate), timeout_ms, createPlainCheck(allowPrivate));
}

/**
 * Builds undici's connect function. `plainCheck` judges what is dialled without TLS; `tls.ca` replaces the authorities
 * that are believed. A name is resolved once per connection; if any of its addresses is refused, all are (an answer that
 * mixes public and private addresses is rebinding), and the socket is given the checked addresses themselves, so that no
 * second lookup can answer differently.
 */
export function createCheckedConnect(
  check: AddressCheck,
  timeout_ms: number,
  plainCheck: AddressCheck = check,
  tls: { readonly ca?: string } = {},
): buildConnector.connector {
  const dialling = (by: AddressCheck): buildConnector.connector =>
    buildConnector({ timeout: timeout_ms, allowH2: false, lookup: checkedLookup(by), ...tls } as never);
  const secure = { check, connect: dialling(check) };
  const plain = { check: plainCheck, connect: dialling(plainCheck) };
  return (options, callback) => {
    const host = options.hostname.replace(/^\[|\]$/g, '');
    const { check: judge, connect } = options.protocol === 'https:' ? secure : plain;
    const refused = isIP(host) === 0 ? null : judge(host);
    if (refused !== null) {
      queueMicrotask(() => callback(new AddressRefused(refused), null));
      return;
    }
    connect(options, callback);
  };
}

function checkedLookup(check: AddressCheck): LookupFunction {
  return (hostname, options, callback) => {
    dnsLookup(hostname, { ...options, all: true }, (error, addresses: LookupAddress[]) => {
      if (error !== null) return callback(error, []);
      for (const { address } of addresses) {
        const refused = check(address);
        if (refused !== null) return callback(new AddressRefused(`${hostname} resolves to ${refused}`), []);
      }
      const first = addresses[0];
      if (first === undefined) return callback(new AddressRefused(`${hostname} has no address`), []);
      if (options.all === true) callback(null, addresses);
      else callback(null, first.address, first.family);
    });
  };
}

/**
 * Checks an endpoint URL of a connector; answers the parsed URL or what is wrong with it, without quoting what may
 * hold a secret. A name over plain http is judged by what it resolves to, when it is dialled.
 */
export function checkEndpoint(text: string, allowPrivate: AllowPrivate): URL | string {
  if (!URL.canParse(text)) return 'url is not a URL';
  const url = new URL(text);
  if (url.protocol !== 'https:' && url.protocol !== 'http:') return `url must be https, got ${url.protocol}`;
  if (url.username !== '' || url.password !== '')
    return 'url must not carry a user or password; use credential';
  if (url.protocol === 'http:' && allowPrivate === false)
    return 'url must be https: plain http is only for connectors that say allow_private';
  const host = url.hostname.replace(/^\[|\]$/g, '');
  const plain = url.protocol === 'http:';
  if (isIP(host) !== 0) return (plain ? createPlainCheck : createAddressCheck)(allowPrivate)(host) ?? url;
  if (plain && host !== 'localhost' && !Array.isArray(allowPrivate))
    return `url must be https: "${host}" is reached by plain http only where allow_private lists its addresses`;
  return url;
}

/** True for what `allow_private` may list: an address, or a range in CIDR form. */
export function isAddressOrRange(text: string): boolean {
  const [address = '', bits, ...rest] = text.split('/');
  const family = isIP(address);
  if (family === 0 || rest.length > 0) return false;
  return bits === undefined || (/^\d{1,3}$/.test(bits) && Number(bits) <= (family === 4 ? 32 : 128));
}
