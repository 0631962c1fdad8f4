// A wrong order of stages must not compile. Checked by the type checker: an unused expectation is an error too.
import { admit } from '#call/admit.ts';
import { authenticate } from '#call/authenticate.ts';
import type { Admission, Asked, Decided, Minted } from '#call/call.ts';
import { decide } from '#call/decide.ts';
import { execute } from '#call/execute.ts';
import { gate } from '#call/gate.ts';
import { grants } from '#call/grants.ts';
import { label } from '#call/label.ts';
import { loops } from '#call/loops.ts';
import { mint } from '#call/mint.ts';
import { prepare } from '#call/prepare.ts';
import { recall } from '#call/recall.ts';
import { resolve } from '#call/resolve.ts';
import { settle } from '#call/settle.ts';
import { chain, type Stage } from '#call/step.ts';
import { validate } from '#call/validate.ts';

const validated = chain<Asked>().stage('a', authenticate).stage('r', resolve).stage('v', validate);
const gated = validated.stage('recall', recall).stage('gate', gate);
const prepared = gated.stage('loops', loops).stage('prepare', prepare);
export const decided = prepared.stage('label', label).stage('grants', grants).stage('decide', decide);

// @ts-expect-error resolving needs an authenticated call
chain<Asked>().stage('resolve', resolve);
// @ts-expect-error fresh reads come only after the gate
validated.stage('recall', recall).stage('prepare', prepare);
// @ts-expect-error nothing is read for a run before it is known not to go in circles
gated.stage('prepare', prepare);
// @ts-expect-error nothing is decided before labels and grants are loaded
prepared.stage('decide', decide);
// @ts-expect-error nothing is admitted that was not decided
prepared.stage('label', label).stage('grants', grants).stage('admit', admit);
// @ts-expect-error no credential for what is not admitted
decided.stage('mint', mint);
// @ts-expect-error nothing is executed without its minting stage
decided.stage('admit', admit).stage('execute', execute);
// @ts-expect-error nothing is settled that was not verified
decided.stage('admit', admit).stage('mint', mint).stage('execute', execute).stage('settle', settle);

// @ts-expect-error a stage may not take a field away
export const forgetful: Stage<Decided, Asked> = async (call) => ({ go: call });

// @ts-expect-error an admission cannot be made by writing it down
export const forged: Admission = { durable: Promise.resolve({ ok: true, log: 'x', seq: 0 }) };

export function cannotChange(call: Minted): void {
  // @ts-expect-error fields of a call are readonly
  call.credential = null;
}
