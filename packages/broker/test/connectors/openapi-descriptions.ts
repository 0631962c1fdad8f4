// What the Stripe and Jira packs use of those APIs, in our own words: the vendors' descriptions are not shipped here.
import type { JsonObject } from '@countersign/contract/json.ts';

const text = { type: 'string' };
const whole = { type: 'integer' };
const json = (schema: JsonObject): JsonObject => ({ content: { 'application/json': { schema } } });
const object = (properties: JsonObject, required: readonly string[] = []): JsonObject => ({
  type: 'object',
  ...(required.length === 0 ? {} : { required }),
  properties,
});
const answer = (status: number, properties: JsonObject, required: readonly string[]): JsonObject => ({
  [status]: json(object(properties, required)),
});
const inPath = (name: string): JsonObject => ({ name, in: 'path', required: true, schema: text });
const inQuery = (name: string, schema: JsonObject): JsonObject => ({ name, in: 'query', schema });

const refund = {
  id: text,
  amount: whole,
  charge: text,
  status: { type: 'string', nullable: true },
  metadata: { type: 'object' },
};
const refundForm = object({
  charge: text,
  amount: whole,
  reason: text,
  metadata: { type: 'object', additionalProperties: text },
});

export const STRIPE = {
  openapi: '3.0.0',
  info: { title: 'Stripe, as far as the pack goes', version: '2022-11-15' },
  paths: {
    '/v1/invoices/{invoice}': {
      get: {
        operationId: 'GetInvoicesInvoice',
        parameters: [inPath('invoice')],
        responses: answer(
          200,
          { id: text, status: text, amount_paid: whole, currency: text, charge: text, customer: text },
          ['id'],
        ),
      },
    },
    '/v1/refunds': {
      post: {
        operationId: 'PostRefunds',
        requestBody: {
          content: {
            'application/x-www-form-urlencoded': { schema: { ...refundForm, additionalProperties: false } },
          },
        },
        responses: answer(200, refund, ['id']),
      },
    },
    '/v1/refunds/{refund}': {
      get: {
        operationId: 'GetRefundsRefund',
        parameters: [inPath('refund')],
        responses: answer(200, refund, ['id']),
      },
    },
  },
} satisfies JsonObject;

export const JIRA = {
  openapi: '3.0.1',
  info: { title: 'Jira, as far as the pack goes', version: '3' },
  paths: {
    '/rest/api/3/issue': {
      post: {
        operationId: 'createIssue',
        requestBody: {
          required: true,
          ...json(object({ fields: { type: 'object', additionalProperties: {} } })),
        },
        responses: answer(201, { id: text, key: text, self: text }, ['id', 'key']),
      },
    },
    '/rest/api/3/issue/{issueIdOrKey}': {
      get: {
        operationId: 'getIssue',
        parameters: [inPath('issueIdOrKey')],
        responses: answer(
          200,
          { id: text, key: text, fields: { type: 'object', additionalProperties: {} } },
          ['key'],
        ),
      },
    },
    '/rest/api/3/search/jql': {
      get: {
        operationId: 'searchAndReconsileIssuesUsingJql',
        parameters: [
          inQuery('jql', text),
          inQuery('fields', { type: 'array', items: text }),
          inQuery('maxResults', whole),
        ],
        responses: answer(200, { issues: { type: 'array', items: object({ id: text, key: text }) } }, [
          'issues',
        ]),
      },
    },
  },
} satisfies JsonObject;
