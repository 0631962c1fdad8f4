// A thousand tools, all of them the order lookup under names of their own: for the broker's bundle and for its rival.
import { lookupOrder } from './order.ts';

export const TOOLS = 1_000;

export function toolName(n: number): string {
  return `lookup_order_${letters(n)}`;
}

/** Four letters a number: names that end in digits would look alike when 0 and 1 are read as letters. */
function letters(n: number): string {
  return [...String(n).padStart(4, '0')].map((digit) => 'abcdefghjk'[Number(digit)]).join('');
}

/** As `tools/list` names them. */
export const manyTools = Array.from({ length: TOOLS }, (_, n) => ({
  ...lookupOrder,
  name: toolName(n),
  description: `Look up one order by its id in the archive ${letters(n)}.`,
}));
