// The outside system of the write bench as both sides know it: its OpenAPI description, and what it answers.
import { orderOf } from './order.ts';

const text = (maxLength: number) => ({ type: 'string', maxLength });
const path = (name: string) => ({ name, in: 'path', required: true, schema: text(64) });
const answers = (schema: object) => ({
  200: { description: 'Done.', content: { 'application/json': { schema } } },
});

const ORDER = {
  type: 'object',
  required: ['order_id', 'status', 'amount_minor'],
  properties: { order_id: text(9), status: text(16), amount_minor: { type: 'integer' } },
};
const NOTE = {
  type: 'object',
  required: ['note', 'order_id', 'text'],
  properties: { note: text(32), order_id: text(9), text: text(80) },
};

/** Orders that can be read, and notes that can be added to them; a note is found by the key that it was sent with. */
export const DESCRIPTION = {
  openapi: '3.1.0',
  info: { title: 'Shop', version: '1.0.0' },
  paths: {
    '/orders/{order_id}': {
      get: { operationId: 'getOrder', parameters: [path('order_id')], responses: answers(ORDER) },
    },
    '/orders/{order_id}/notes': {
      post: {
        operationId: 'addNote',
        parameters: [path('order_id')],
        requestBody: {
          required: true,
          content: {
            'application/json': {
              schema: { type: 'object', required: ['text'], properties: { text: text(80) } },
            },
          },
        },
        responses: answers(NOTE),
      },
    },
    '/keys/{key}': {
      get: { operationId: 'getNoteByKey', parameters: [path('key')], responses: answers(NOTE) },
    },
  },
};

export interface Note {
  readonly note: string;
  readonly order_id: string;
  readonly text: string;
}

/** What the upstream has counted. */
export interface Counted {
  /** Notes that were made. */
  readonly notes: number;
  /** Keys that they were made for: as many, or a deed was done twice. */
  readonly keys: number;
  readonly requests: number;
  readonly faults: number;
}

export const orderAnswer = (order_id: string): object => orderOf(order_id);
