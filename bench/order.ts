// What the bench's upstream knows of an order, so that the load generator can check every answer it gets.

export interface Order {
  readonly order_id: string;
  readonly status: 'open' | 'paid' | 'shipped' | 'returned';
  readonly amount_minor: number;
}

const STATUSES = ['open', 'paid', 'shipped', 'returned'] as const;

/** The id of the nth order: two letters, a dash, six digits. */
export function orderId(n: number): string {
  return `OR-${String(n % 1_000_000).padStart(6, '0')}`;
}

/** The one order that carries this id; the same answer in every process. */
export function orderOf(order_id: string): Order {
  const n = Number(order_id.slice(3));
  return { order_id, status: STATUSES[n % STATUSES.length]!, amount_minor: (n * 37) % 100_000 };
}

/** The upstream's tool as `tools/list` names it. */
export const lookupOrder = {
  name: 'lookup_order',
  description: 'Look up one order by its id.',
  inputSchema: {
    type: 'object',
    additionalProperties: false,
    required: ['order_id'],
    properties: { order_id: { type: 'string', pattern: '^[A-Z]{2}-[0-9]{6}$', maxLength: 9 } },
  },
  outputSchema: {
    type: 'object',
    additionalProperties: false,
    required: ['order_id', 'status', 'amount_minor'],
    properties: {
      order_id: { type: 'string', pattern: '^[A-Z]{2}-[0-9]{6}$', maxLength: 9 },
      status: { type: 'string', enum: [...STATUSES] },
      amount_minor: { type: 'integer', minimum: 0, maximum: 100_000 },
    },
  },
} as const;
