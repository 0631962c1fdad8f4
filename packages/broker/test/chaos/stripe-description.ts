// What the run uses of Stripe's API, in our own words: one charge, its refunds, one refund.
import type { JsonObject } from '@countersign/contract/json.ts';

const text = { type: 'string' };
const whole = { type: 'integer' };
const inPath = (name: string): JsonObject => ({ name, in: 'path', required: true, schema: text });
const answer = (properties: JsonObject): JsonObject => ({
  200: { content: { 'application/json': { schema: { type: 'object', required: ['id'], properties } } } },
});
const refund = {
  id: text,
  amount: whole,
  charge: text,
  metadata: { type: 'object', additionalProperties: text },
};
const form = {
  type: 'object',
  additionalProperties: false,
  properties: { charge: text, amount: whole, metadata: { type: 'object', additionalProperties: text } },
};

export const STRIPE_DESCRIPTION = {
  openapi: '3.0.0',
  info: { title: 'Charges and refunds', version: '2020-08-27' },
  paths: {
    '/v1/charges/{charge}': {
      get: {
        operationId: 'GetChargesCharge',
        parameters: [inPath('charge')],
        responses: answer({ id: text, amount: whole, amount_refunded: whole }),
      },
    },
    '/v1/refunds': {
      post: {
        operationId: 'PostRefunds',
        requestBody: { content: { 'application/x-www-form-urlencoded': { schema: form } } },
        responses: answer(refund),
      },
    },
    '/v1/refunds/{refund}': {
      get: {
        operationId: 'GetRefundsRefund',
        parameters: [inPath('refund')],
        responses: answer(refund),
      },
    },
  },
} satisfies JsonObject;
