// Writes a request as bytes and mutates what lies around the body: headers, framing, pieces, ends.
import type { Json } from '@countersign/contract/json.ts';
import type { Cast } from './cast.ts';
import type { Dice } from './dice.ts';
import {
  mutateTree,
  type Written,
  writeBroken,
  writeDressed,
  writeFlipped,
  writeWell,
} from './mutate-json.ts';
import type { Plain } from './requests.ts';

/** What the answer is held to. */
export interface Fuzzed {
  readonly plain: Plain;
  readonly bytes: Buffer;
  /** Where the bytes are cut into separate writes. */
  readonly cuts: readonly number[];
  /** `half`: our side ends after the last byte. `reset`: the connection is torn down before any answer. */
  readonly end: 'keep' | 'half' | 'reset';
  /** `works`: nothing was done that matters. `refused`: no reader may accept it. `any`: it is for the broker to say. */
  readonly expects: 'works' | 'refused' | 'any';
  /** The token opens nothing: 401, and nothing else, unless the request was not even read so far. */
  readonly stranger: boolean;
  /** Its HTTP is sound: there is exactly one answer, and the connection may be used again. */
  readonly framed: boolean;
  /** Names of the mutations, for the report. */
  readonly did: readonly string[];
  /** The body as the broker must have read it; undefined when that is open. */
  readonly tree: Written['tree'];
}

/** Headers that must have one meaning. */
const ONCE = ['authorization', 'content-type', 'host', 'content-encoding', 'origin', 'idempotency-key'];

interface Draft {
  line: string;
  headers: [string, string][];
  body: Written | null;
  /** Bytes of the body on the wire, with the headers that frame it. */
  framing: 'length' | 'chunked';
  cuts: boolean;
  end: Fuzzed['end'];
  refused: boolean;
  changed: boolean;
  framed: boolean;
  stranger: boolean;
}

type Trick = readonly [
  name: string,
  weight: number,
  does: (dice: Dice, draft: Draft, cast: Cast, plain: Plain) => void,
];

const refuse = (draft: Draft): void => {
  draft.refused = true;
};
const set = (draft: Draft, name: string, value: string | null): void => {
  draft.headers = draft.headers.filter(([each]) => each !== name);
  if (value !== null) draft.headers.push([name, value]);
};

const TRICKS: readonly Trick[] = [
  [
    'tree',
    30,
    (dice, draft, _cast, plain) => {
      if (plain.body === null || plain.era === 'form') return;
      let tree: Json = plain.body;
      for (let i = 1 + dice.below(3); i > 0; i--) tree = mutateTree(dice, tree);
      draft.body = writeWell(tree);
      draft.changed = true;
    },
  ],
  [
    'text',
    20,
    (dice, draft, _cast, plain) => {
      if (typeof plain.body !== 'object' || plain.body === null || Array.isArray(plain.body)) return;
      draft.body = writeBroken(dice, plain.body as never);
      refuse(draft);
    },
  ],
  [
    'flip',
    10,
    (dice, draft, _cast, plain) => {
      if (plain.body === null) return;
      draft.body =
        plain.era === 'form' ? { ...writeFlipped(dice, plain.body) } : writeFlipped(dice, plain.body);
      draft.changed = true;
    },
  ],
  [
    'dress',
    8,
    (dice, draft, _cast, plain) => {
      if (plain.body !== null && plain.era !== 'form') draft.body = writeDressed(dice, plain.body);
    },
  ],
  [
    'huge',
    1,
    (dice, draft, _cast, plain) => {
      if (plain.body === null || plain.era === 'form') return;
      draft.body = {
        bytes: Buffer.alloc(BODY_BYTES + 1 + dice.below(100_000), 0x20),
        refused: true,
        tree: undefined,
      };
      refuse(draft);
      // It may be refused before all of it was read; what then becomes of the connection is the server's to say.
      draft.framed = false;
    },
  ],
  [
    'no body',
    2,
    (_dice, draft) => {
      draft.body = null;
      draft.changed = true;
    },
  ],
  [
    'token',
    12,
    (dice, draft, cast, plain) => {
      if (plain.as === null) return;
      const value = dice.pick([
        null,
        '',
        'Bearer',
        'Bearer ',
        'Basic eDp5',
        'bearer  x',
        ...cast.bad.map((bad) => `Bearer ${bad}`),
      ]);
      set(draft, 'authorization', value);
      draft.stranger = true;
    },
  ],
  [
    'audience',
    3,
    (dice, draft, cast, plain) => {
      if (plain.as === null) return;
      const other =
        plain.path === '/mcp'
          ? dice.pick(['bot v1', 'ana v1', 'desk v1'])
          : dice.pick(['bot mcp', 'other-bot mcp']);
      set(draft, 'authorization', `Bearer ${cast.tokens.get(other)}`);
      draft.stranger = true;
    },
  ],
  [
    'session',
    8,
    (dice, draft, cast, plain) => {
      if (plain.era !== 'session' || !draft.headers.some(([name]) => name === 'mcp-session-id')) return;
      set(
        draft,
        'mcp-session-id',
        dice.pick([
          ...cast.sessions.foreign,
          'x',
          'A'.repeat(32),
          '',
          null,
          `${cast.sessions.own[0]},${cast.sessions.own[0]}`,
        ]),
      );
      refuse(draft);
    },
  ],
  [
    'era',
    6,
    (dice, draft, _cast, plain) => {
      if (plain.path !== '/mcp') return;
      set(
        draft,
        'mcp-protocol-version',
        dice.pick(['2026-07-28', '2025-11-25', '2025-06-18', '1999-01-01', '2099-01-01', 'x', '', null]),
      );
      draft.changed = true;
    },
  ],
  [
    'mismatch',
    8,
    (dice, draft, _cast, plain) => {
      if (plain.era !== 'stateless') return;
      const name = dice.pick(['mcp-method', 'mcp-name']);
      if (!draft.headers.some(([each]) => each === name)) return;
      set(
        draft,
        name,
        dice.pick(['nope', 'tools/cal', '=?base64?!?=', '=?base64?bm9wZQ==?=', null, 'read_note\u00a0']),
      );
      refuse(draft);
    },
  ],
  [
    'type',
    5,
    (dice, draft, _cast, plain) => {
      if (plain.body === null || plain.era === 'form') return;
      if (dice.odds(0.5))
        set(
          draft,
          'content-type',
          dice.pick([
            'text/plain',
            'application/x-www-form-urlencoded',
            'multipart/form-data; boundary=x',
            'application/json; charset=utf-16',
            'application/jsonp',
            'a/b;c',
            '',
          ]),
        );
      else set(draft, 'content-encoding', dice.pick(['gzip', 'br', 'deflate', 'identity, gzip']));
      refuse(draft);
    },
  ],
  [
    'method',
    4,
    (dice, draft, cast, plain) => {
      const others = [
        'GET',
        'PUT',
        'DELETE',
        'PATCH',
        'OPTIONS',
        'HEAD',
        'TRACE',
        'get',
        'X',
        'CONNECT',
        'PRI',
      ];
      draft.line = draft.line.replace(/^\w+/, dice.pick(others));
      // Our own sessions are needed to the end.
      if (plain.era === 'session') set(draft, 'mcp-session-id', dice.pick([...cast.sessions.foreign, 'x']));
      draft.changed = true;
      draft.framed = false;
    },
  ],
  [
    'path',
    5,
    (dice, draft) => {
      const path = draft.line.split(' ')[1]!;
      draft.line = draft.line.replace(
        path,
        dice.pick([
          '//',
          '/..',
          `/${'a'.repeat(3_000)}`,
          '/%',
          '/%zz',
          '/%c0%af',
          '/v1/calls/',
          '/V1/calls',
          `/v1//calls`,
          '*',
          `http://evil.example${path}`,
          `${path}/..%2f..`,
          `${path}#x`,
          `${path}\\x`,
          `${path}%00`,
          '/__proto__',
          '',
        ]),
      );
      draft.changed = true;
      draft.framed = false;
    },
  ],
  [
    'once',
    5,
    (dice, draft) => {
      const name = dice.pick(ONCE);
      const value = draft.headers.find(([each]) => each === name)?.[1] ?? 'x';
      draft.headers.push([name, value], [dice.pick([name, name.toUpperCase()]), value]);
      refuse(draft);
    },
  ],
  [
    'host',
    4,
    (dice, draft) => {
      if (dice.odds(0.5))
        set(
          draft,
          'host',
          dice.pick(['evil.example', '127.0.0.1:1', '', null, 'localhost@evil.example', '127.0.0.1']),
        );
      else set(draft, 'origin', dice.pick(['http://evil.example', 'null', 'file://', 'x']));
      refuse(draft);
    },
  ],
  [
    'header bytes',
    5,
    (dice, draft) => {
      const value = dice.pick([
        '\u0000',
        'a\u0000b',
        '\u0001',
        'a\rb',
        'a\nb',
        '\u007f',
        '\u00ff\u00fe',
        'x'.repeat(20_000),
        'caf\u00e9',
        '\t\t x',
      ]);
      draft.headers.push([
        dice.pick([
          'x-odd',
          'mcp-name',
          'idempotency-key',
          'accept',
          'cookie',
          'x-request-id',
          'mcp-session-id',
        ]),
        value,
      ]);
      draft.changed = true;
      draft.framed = false;
    },
  ],
  [
    'header names',
    3,
    (dice, draft) => {
      if (dice.odds(0.3)) for (let i = 0; i < 2_500; i++) draft.headers.push([`x${i}`, '']);
      else
        draft.headers.push([
          dice.pick([
            'x y',
            '',
            'x\u00e9',
            ' x',
            'x ',
            '__proto__',
            'constructor',
            'content-length ',
            'transfer-encoding\t',
            'x(',
          ])!,
          'x',
        ]);
      draft.changed = true;
      draft.framed = false;
    },
  ],
  [
    'chunked',
    8,
    (_dice, draft) => {
      draft.framing = 'chunked';
    },
  ],
  [
    'length',
    5,
    (dice, draft) => {
      const length = draft.body?.bytes.length ?? 0;
      draft.framed = false;
      draft.changed = true;
      draft.framing = 'length';
      const value = dice.pick([
        '-1',
        'x',
        '0x10',
        '99999999999999999999',
        `${length}, ${length}`,
        `${Math.max(0, length - 3)}`,
        `${length + 7}`,
        '+5',
        ' ',
        '1 1',
      ]);
      draft.headers.push(['content-length', value]);
    },
  ],
  [
    'coding',
    4,
    (dice, draft) => {
      draft.framed = false;
      draft.changed = true;
      draft.headers.push([
        'transfer-encoding',
        dice.pick([
          'chunked',
          'identity',
          'gzip, chunked',
          'chunked, identity',
          'xchunked',
          'chunked\t',
          '\u000bchunked',
        ]),
      ]);
      if (dice.odds(0.5)) draft.headers.push(['content-length', '5']);
    },
  ],
  [
    'connection',
    5,
    (dice, draft) => {
      draft.headers.push(
        dice.pick<[string, string]>([
          ['connection', 'close'],
          ['expect', '100-continue'],
          ['expect', 'x'],
          ['upgrade', 'websocket'],
          ['upgrade', 'h2c'],
          ['connection', 'upgrade, keep-alive'],
          ['te', 'trailers'],
          ['trailer', 'x'],
          ['keep-alive', 'timeout=999999'],
        ]),
      );
      draft.changed = true;
      draft.framed = false;
    },
  ],
  [
    'version',
    2,
    (dice, draft) => {
      draft.line = draft.line.replace(
        /HTTP\/1\.1$/,
        dice.pick(['HTTP/1.0', 'HTTP/2.0', 'HTTP/0.9', 'HTTP/1.12', 'HTTPS/1.1', '', 'HTTP/1.1 x']),
      );
      draft.changed = true;
      draft.framed = false;
    },
  ],
  [
    'pieces',
    8,
    (_dice, draft) => {
      draft.cuts = true;
    },
  ],
  [
    'half',
    4,
    (_dice, draft) => {
      draft.end = 'half';
    },
  ],
  [
    'reset',
    2,
    (_dice, draft) => {
      draft.end = 'reset';
      draft.framed = false;
    },
  ],
];
const WEIGHT = TRICKS.reduce((sum, [, weight]) => sum + weight, 0);

/** Limit of the fuzzed bundle, so that what is huge here need not be huge. */
export const BODY_BYTES = 131_072;

export function fuzzRequest(dice: Dice, cast: Cast, plain: Plain): Fuzzed {
  const draft: Draft = {
    line: `${plain.method} ${plain.path} HTTP/1.1`,
    headers: [
      ['host', cast.host],
      ...(plain.as === null
        ? []
        : [
            [
              'authorization',
              `Bearer ${cast.tokens.get(`${plain.as} ${plain.path === '/mcp' ? 'mcp' : 'v1'}`)}`,
            ] as [string, string],
          ]),
      ...plain.headers.map(([name, value]): [string, string] => [name, value]),
    ],
    body:
      plain.body === null
        ? null
        : plain.era === 'form'
          ? { bytes: Buffer.from(plain.body as string), refused: false, tree: undefined }
          : writeWell(plain.body),
    ...{
      framing: 'length',
      cuts: false,
      end: 'keep',
      refused: false,
      changed: false,
      framed: true,
      stranger: false,
    },
  };
  const did: string[] = [];
  for (let count = dice.pick([0, 1, 1, 1, 1, 2, 2, 3]); count > 0; count--) {
    const [name, , does] = pickTrick(dice);
    if (did.includes(name) || (BODIES.has(name) && did.some((each) => BODIES.has(each)))) continue;
    does(dice, draft, cast, plain);
    did.push(name);
  }
  const bytes = writeDraft(dice, draft);
  const cuts = draft.cuts
    ? Array.from({ length: 1 + dice.below(5) }, () => dice.below(bytes.length)).sort((a, b) => a - b)
    : [];
  const { end, framed, stranger, refused, changed } = draft;
  // Where one of several tricks may have undone another (a body that is refused, and then none), nothing is promised.
  const sure = framed && did.filter((name) => !HARMLESS.has(name)).length <= 1;
  const expects = refused && sure ? 'refused' : !refused && !changed && !stranger && framed ? 'works' : 'any';
  return {
    plain,
    bytes,
    cuts,
    end,
    expects,
    stranger: stranger && sure,
    framed,
    did,
    tree: framed ? draft.body?.tree : undefined,
  };
}

/** These write the body: the second of two would undo the first. */
const BODIES = new Set(['tree', 'text', 'flip', 'dress', 'huge', 'no body']);
/** These change nothing of what the request says. */
const HARMLESS = new Set(['dress', 'chunked', 'pieces', 'half']);

function pickTrick(dice: Dice): Trick {
  let at = dice.below(WEIGHT);
  for (const trick of TRICKS) {
    at -= trick[1];
    if (at < 0) return trick;
  }
  return TRICKS[0]!;
}

function writeDraft(dice: Dice, draft: Draft): Buffer {
  const { body } = draft;
  const frames = draft.headers.some(([name]) => /^(content-length|transfer-encoding)$/.test(name));
  const chunked = body !== null && draft.framing === 'chunked' && !frames;
  const headers = [...draft.headers];
  if (chunked) headers.push(['transfer-encoding', 'chunked']);
  else if (body !== null && !frames) headers.push(['content-length', String(body.bytes.length)]);
  const head = `${draft.line}\r\n${headers.map(([name, value]) => `${name}: ${value}\r\n`).join('')}\r\n`;
  return Buffer.concat([
    Buffer.from(head, 'latin1'),
    body === null ? EMPTY : chunked ? chunksOf(dice, body.bytes) : body.bytes,
  ]);
}

const EMPTY = Buffer.alloc(0);

/** RFC 9112 §7.1: sizes in hex, extensions, trailers. */
function chunksOf(dice: Dice, body: Buffer): Buffer {
  const parts: Buffer[] = [];
  for (let at = 0; at < body.length; ) {
    const size = Math.min(
      body.length - at,
      1 + dice.below(dice.pick([1, 16, 4_096])) + (body.length > 4_096 ? 2_048 : 0),
    );
    const extension = dice.odds(0.1) ? ';x="y"' : '';
    parts.push(
      Buffer.from(`${dice.odds(0.2) ? '00' : ''}${size.toString(16)}${extension}\r\n`),
      body.subarray(at, at + size),
      Buffer.from('\r\n'),
    );
    at += size;
  }
  parts.push(Buffer.from(`0\r\n${dice.odds(0.1) ? 'x-trailer: 1\r\n' : ''}\r\n`));
  return Buffer.concat(parts);
}
