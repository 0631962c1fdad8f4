// Routes of the ledger and the bundle: what auditors read and admins put in force.
import { answer, personOf, type Route } from './route.ts';

const log = {
  type: 'string',
  maxLength: 128,
  description: 'Name of the log; by default the one of your tenant.',
} as const;

/** What is not a number names no entry: it is answered like one that does not exist. */
function entryNumber(text: string): number {
  return /^(0|[1-9][0-9]{0,14})$/.test(text) ? Number(text) : -1;
}

export const evidenceRoutes: readonly Route[] = [
  {
    id: 'readLedger',
    method: 'GET',
    path: '/v1/ledger/entries',
    summary: 'Entries of a log in order, with their payloads.',
    who: ['auditor', 'operator', 'admin'],
    query: {
      log,
      from: { type: 'integer', minimum: 0, maximum: Number.MAX_SAFE_INTEGER, default: 0 },
      limit: { type: 'integer', minimum: 1, maximum: 1000, default: 100 },
    },
    answers: { 200: 'LedgerPage' },
    problems: ['not_found'],
    async handle(asking) {
      const { deeds, world } = asking.reach;
      const page = { from: 0, limit: 100, ...asking.query } as { log?: string; from: number; limit: number };
      return answer(await deeds.readLedger(world, personOf(asking), page), ({ log, entries }) => ({
        log,
        entries: entries.map(({ seq, entry, body }) => ({
          seq,
          entry,
          ...(body === null ? {} : { payload: body }),
        })),
      }));
    },
  },
  {
    id: 'showReceipt',
    method: 'GET',
    path: '/v1/ledger/receipts/{log}/{seq}',
    summary: 'An entry with its payload and the proof that it is in the log, under a signed checkpoint.',
    who: ['auditor', 'operator', 'admin'],
    answers: { 200: 'Receipt' },
    problems: ['not_found'],
    async handle(asking) {
      const { deeds, world } = asking.reach;
      const { log, seq } = asking.params;
      return answer(await deeds.showReceipt(world, personOf(asking), log!, entryNumber(seq!)));
    },
  },
  {
    id: 'erasePayload',
    method: 'POST',
    path: '/v1/ledger/entries/{log}/{seq}/erase',
    summary:
      'Erases the payload of an entry with every copy in the store, and records who did it and why; the entry and all proofs stay.',
    who: ['admin'],
    body: { schema: 'ErasureRequest' },
    answers: { 200: 'Erasure' },
    problems: ['not_found', 'conflict'],
    async handle(asking) {
      const { deeds, world } = asking.reach;
      const { log, seq } = asking.params;
      const { reason } = asking.body as { readonly reason: string };
      const wanted = { log: log!, seq: entryNumber(seq!), reason };
      return answer(await deeds.eraseEntry(world, personOf(asking), wanted));
    },
  },
  {
    id: 'latestCheckpoint',
    method: 'GET',
    path: '/v1/ledger/checkpoint',
    summary: 'A signed checkpoint to keep outside, and the key that verifies it.',
    who: ['auditor', 'operator', 'admin'],
    query: { log },
    answers: { 200: 'Checkpoint' },
    problems: ['not_found'],
    async handle(asking) {
      const { deeds, world } = asking.reach;
      const name = asking.query.log as string | undefined;
      return answer(await deeds.latestCheckpoint(world, personOf(asking), name));
    },
  },
  {
    id: 'showBundle',
    method: 'GET',
    path: '/v1/bundle',
    summary: 'The bundle in force.',
    who: ['operator', 'auditor', 'admin'],
    answers: { 200: 'BundleView' },
    async handle(asking) {
      const { deeds, world } = asking.reach;
      return answer(await deeds.showBundle(world, personOf(asking)));
    },
  },
  {
    id: 'activateBundle',
    method: 'POST',
    path: '/v1/bundle',
    summary:
      'Reads the bundle folder again and puts it in force; a broken one is refused and the old one serves on.',
    who: ['admin'],
    body: { schema: 'Nothing', optional: true },
    answers: { 200: 'BundleView' },
    problems: ['bundle_invalid'],
    async handle(asking) {
      const { deeds, world, activation } = asking.reach;
      return answer(await deeds.activateBundle(world, personOf(asking), activation));
    },
  },
];
