// The calls of the write bench, each with its right answer, and the count of how they ended.
import { META, type Question } from './load.ts';
import { type Order, orderId, orderOf } from './order.ts';

/** How many calls ended in which status. */
export type Tally = Record<string, number>;

interface Answer {
  readonly id?: number;
  readonly result?: {
    readonly isError?: boolean;
    readonly structuredContent?: Partial<Order> & { readonly text?: string; readonly status?: string };
    readonly _meta?: { readonly 'countersign/status'?: string };
  };
}

/** A call of a tool; `right` is asked of the result of one that succeeded. Without faults every one has to. */
function calling(
  name: string,
  args: (id: number) => object,
  right: (content: NonNullable<Answer['result']>['structuredContent'], id: number) => boolean,
) {
  return (tally: Tally, faults: boolean): Question => ({
    headers: { 'mcp-protocol-version': '2026-07-28', 'mcp-method': 'tools/call', 'mcp-name': name },
    body: (id) => ({
      jsonrpc: '2.0',
      id,
      method: 'tools/call',
      params: { name, arguments: args(id), _meta: META },
    }),
    isAnswer: (text, id) => {
      const { id: answered, result } = JSON.parse(text) as Answer;
      const status = result?._meta?.['countersign/status'] ?? 'no status';
      tally[status] = (tally[status] ?? 0) + 1;
      if (answered !== id) return false;
      return status === 'succeeded' ? right(result?.structuredContent, id) : faults && status !== 'no status';
    },
  });
}

const noteText = (id: number): string => `note ${id}`;
export const lookUpOrder = calling(
  'lookup_order',
  (id) => ({ order_id: orderId(id) }),
  (content, id) => {
    const { order_id, status, amount_minor } = orderOf(orderId(id));
    return (
      content?.order_id === order_id && content.status === status && content.amount_minor === amount_minor
    );
  },
);
export const addNote = calling(
  'add_note',
  (id) => ({ order_id: orderId(id), text: noteText(id) }),
  (content, id) => content?.order_id === orderId(id) && content.text === noteText(id),
);
