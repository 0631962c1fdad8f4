// The bundle files of the write bench: one connector, a read and a write behind it, a hundred policies for each.

import { cutOperation, operationDigest } from '../packages/broker/src/connectors/openapi/slice.ts';
import type { Json } from '../packages/contract/src/json.ts';
import { lookupOrder } from './order.ts';
import { benchPolicies } from './policies.ts';
import { DESCRIPTION } from './shop.ts';

const ORDER_ID = lookupOrder.inputSchema.properties.order_id;
const RETRY = { attempts: 6, base: '5ms', max: '40ms', budget: '4s' };
const COMMON = { version: '1.0.0', owner: 'maya', connector: 'upstream', timeout: '5s' };

export function shopFiles(port: number): Readonly<Record<string, unknown>> {
  return {
    'specs/shop.json': DESCRIPTION,
    'connectors/upstream.yaml': {
      ...{ name: 'upstream', kind: 'openapi', owner: 'maya' },
      spec: 'specs/shop.json',
      servers: [`http://127.0.0.1:${port}`],
      allow_private: true,
    },
    'tools/lookup_order.yaml': {
      ...{ name: 'lookup_order', ...COMMON, effect: 'read' },
      description: lookupOrder.description,
      input: lookupOrder.inputSchema,
      resources: ["'shop:order/' + args.order_id"],
      bind: bindTo('getOrder', { path: { order_id: '=args.order_id' } }),
      retry: { ...RETRY, on: ['not-sent', 'busy', 'unknown', 502] },
      output: { schema: lookupOrder.outputSchema },
      summary: ['look up order ', '=args.order_id'],
    },
    'tools/add_note.yaml': {
      ...{ name: 'add_note', ...COMMON, effect: 'write' },
      description: 'Add one note to an order.',
      input: {
        ...{ type: 'object', additionalProperties: false, required: ['order_id', 'text'] },
        properties: { order_id: ORDER_ID, text: { type: 'string', pattern: '^note [0-9]+$', maxLength: 20 } },
      },
      resources: ["'shop:order/' + args.order_id"],
      bind: bindTo('addNote', { path: { order_id: '=args.order_id' }, body: { text: '=args.text' } }),
      idempotency: { strategy: 'header', header: 'Idempotency-Key', key: 'call.id' },
      retry: { ...RETRY, on: ['not-sent', 'busy', 'unknown', 502] },
      sideEffect: { id: 'response.note' },
      verify: {
        bind: bindTo('getNoteByKey', { path: { key: '=call.id' } }),
        expect: ['verify.order_id == args.order_id', 'verify.text == args.text'],
        retry: { attempts: 6, base: '5ms', max: '40ms' },
      },
      compensate: { kind: 'manual', runbook: 'Delete the note.' },
      output: {
        project: { order_id: '=response.order_id', text: '=response.text' },
        schema: {
          ...{ type: 'object', additionalProperties: false, required: ['order_id', 'text'] },
          properties: {
            order_id: ORDER_ID,
            text: { type: 'string', pattern: '^note [0-9]+$', maxLength: 20 },
          },
        },
      },
      summary: ['add to order ', '=args.order_id', ' the ', '=args.text'],
    },
    // As many, of the same shapes, as the read has.
    'policies/write.cedar': benchPolicies()
      .join('\n')
      .replaceAll('Action::"lookup_order"', 'Action::"add_note"')
      .replaceAll('Action::"read"', 'Action::"write"')
      .replaceAll('context.effect != "write"', 'context.effect != "read"')
      .replaceAll('@id("', '@id("write-'),
  };
}

function bindTo(operation: string, inputs: object): object {
  const found = cutOperation(DESCRIPTION as unknown as Json, operation);
  if (!found.ok) throw new Error(found.reason);
  return { openapi: { operation, digest: operationDigest(found.cut), ...inputs } };
}
