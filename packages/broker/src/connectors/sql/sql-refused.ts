// A refusal in the middle of a transaction: rolled back, then answered.

export class SqlRefused extends Error {
  override readonly name = 'SqlRefused';
}
