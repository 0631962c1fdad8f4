// The ready-made units of work: the transactions of the hot path, run by name where the store is written.
import { admitCall } from './admit-call.ts';
import { setReply } from './calls.ts';
import { refuseCall } from './refuse-call.ts';
import { settleCall } from './settle-call.ts';
import type { Standings } from './standings.ts';
import type { WriteTx } from './tx.ts';

/** `standings`: what the writer remembers of runs, halts and the bundle; it forgets whenever they may change. */
export type Unit<In, Out> = (tx: WriteTx, input: In, standings: Standings) => Promise<Out>;

export const UNITS = {
  admitCall,
  settleCall,
  refuseCall,
  /** Makes what the upstream answered durable, before anybody interprets it. */
  keepReply: (tx: WriteTx, input: { readonly id: string; readonly reply: string }) =>
    setReply(tx, input.id, input.reply),
};

export type UnitName = keyof typeof UNITS;
export type InputOf<N extends UnitName> = Parameters<(typeof UNITS)[N]>[1];
export type OutputOf<N extends UnitName> = Awaited<ReturnType<(typeof UNITS)[N]>>;
