// Writes an amount of money in words that a person reads: minor units and a currency, e.g. `400.00 USD`.

// ISO 4217 currencies whose minor unit is not a hundredth.
const exponents: ReadonlyMap<string, number> = new Map([
  ...['BIF', 'CLP', 'DJF', 'GNF', 'ISK', 'JPY', 'KMF', 'KRW', 'PYG', 'RWF', 'UGX', 'UYI', 'VND', 'VUV'].map(
    (code) => [code, 0] as const,
  ),
  ...['XAF', 'XOF', 'XPF'].map((code) => [code, 0] as const),
  ...['BHD', 'IQD', 'JOD', 'KWD', 'LYD', 'OMR', 'TND'].map((code) => [code, 3] as const),
  ...['CLF', 'UYW'].map((code) => [code, 4] as const),
]);

/** Throws a TypeError unless `currency` is three letters: an approver must never read an invented unit. */
export function formatMoney(minor: number | bigint, currency: string): string {
  if (!/^[A-Za-z]{3}$/.test(currency)) throw new TypeError('money: the currency is not three letters');
  const code = currency.toUpperCase();
  const exponent = exponents.get(code) ?? 2;
  const amount = BigInt(minor);
  const digits = (amount < 0n ? -amount : amount).toString().padStart(exponent + 1, '0');
  const whole = digits.slice(0, digits.length - exponent);
  const part = exponent === 0 ? '' : `.${digits.slice(-exponent)}`;
  return `${amount < 0n ? '-' : ''}${whole}${part} ${code}`;
}
