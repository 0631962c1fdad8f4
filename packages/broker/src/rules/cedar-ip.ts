// Cedar's `ipaddr`: one IPv4 or IPv6 address, or a range of them.
import { CedarError, Opaque } from './cedar-value.ts';

/** An address with the length of its prefix: 32 or 128 for a single one. */
export class IpAddress extends Opaque {
  readonly typeName = 'ipaddr';
  readonly bits: 32 | 128;
  readonly address: bigint;
  readonly prefix: number;

  constructor(bits: 32 | 128, address: bigint, prefix: number) {
    super();
    this.bits = bits;
    this.address = address;
    this.prefix = prefix;
  }

  canonical(): string {
    return `${this.bits}:${this.address}/${this.prefix}`;
  }

  isLoopback(): boolean {
    if (this.bits === 32) return this.address >> 24n === 127n && this.prefix >= 8;
    return this.address === 1n && this.prefix === 128;
  }

  isMulticast(): boolean {
    if (this.bits === 32) return this.address >> 28n === 0xen && this.prefix >= 4;
    return this.address >> 120n === 0xffn && this.prefix >= 8;
  }

  isInRange(range: IpAddress): boolean {
    if (this.bits !== range.bits) return false;
    return range.first() <= this.first() && this.last() <= range.last();
  }

  private hosts(): bigint {
    return (1n << BigInt(this.bits - this.prefix)) - 1n;
  }

  private first(): bigint {
    return this.address & ~this.hosts();
  }

  private last(): bigint {
    return this.address | this.hosts();
  }

  toJSON(): unknown {
    return { __extn: { fn: 'ip', arg: `${this.text()}/${this.prefix}` } };
  }

  private text(): string {
    const step = this.bits === 32 ? 8n : 16n;
    const groups: string[] = [];
    for (let shift = BigInt(this.bits) - step; shift >= 0n; shift -= step) {
      groups.push(((this.address >> shift) & ((1n << step) - 1n)).toString(this.bits === 32 ? 10 : 16));
    }
    return groups.join(this.bits === 32 ? '.' : ':');
  }
}

// The longest text: eight full groups and `/128`.
const LENGTH_MAX = 43;

/** Reads an address or a CIDR range. IPv4 inside IPv6 notation is refused, as the official engine does. */
export function parseIp(text: string): IpAddress {
  const refused = (why: string): CedarError => new CedarError(`\`${text}\` is not an IP address: ${why}`);
  if (Buffer.byteLength(text) > LENGTH_MAX) throw refused('too long');
  const slash = text.indexOf('/');
  const head = slash === -1 ? text : text.slice(0, slash);
  const four = parseIpv4(head);
  const address = four ?? parseIpv6(head);
  if (address === undefined) throw refused('neither four decimal octets nor groups of hexadecimal digits');
  const bits = four === undefined ? 128 : 32;
  if (slash === -1) return new IpAddress(bits, address, bits);
  const prefix = parsePrefix(text.slice(slash + 1), bits);
  if (prefix === undefined) throw refused(`the prefix must be a number from 0 to ${bits}`);
  return new IpAddress(bits, address, prefix);
}

function parsePrefix(text: string, bits: 32 | 128): number | undefined {
  if (!/^(0|[1-9][0-9]{0,2})$/.test(text)) return undefined;
  const prefix = Number(text);
  return prefix <= bits ? prefix : undefined;
}

function parseIpv4(text: string): bigint | undefined {
  const octets = text.split('.');
  if (octets.length !== 4) return undefined;
  let address = 0n;
  for (const octet of octets) {
    if (!/^(0|[1-9][0-9]{0,2})$/.test(octet) || Number(octet) > 255) return undefined;
    address = (address << 8n) | BigInt(octet);
  }
  return address;
}

function parseIpv6(text: string): bigint | undefined {
  const gap = text.indexOf('::');
  if (gap === -1) {
    const groups = parseGroups(text);
    return groups?.length === 8 ? joinGroups(groups) : undefined;
  }
  const head = parseGroups(text.slice(0, gap));
  const tail = parseGroups(text.slice(gap + 2));
  // `::` stands for at least one group of zeros.
  if (head === undefined || tail === undefined || head.length + tail.length > 7) return undefined;
  const zeros = new Array<bigint>(8 - head.length - tail.length).fill(0n);
  return joinGroups([...head, ...zeros, ...tail]);
}

function parseGroups(text: string): bigint[] | undefined {
  if (text === '') return [];
  const groups: bigint[] = [];
  for (const group of text.split(':')) {
    if (!/^[0-9a-fA-F]{1,4}$/.test(group)) return undefined;
    groups.push(BigInt(`0x${group}`));
  }
  return groups;
}

function joinGroups(groups: readonly bigint[]): bigint {
  return groups.reduce((address, group) => (address << 16n) | group, 0n);
}
