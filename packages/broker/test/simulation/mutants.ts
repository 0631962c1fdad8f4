// Bugs planted one at a time into the broker's source: the simulation has to find every one.

/** One change of the source. `find` occurs exactly once in the file; paths are below packages/broker/src. */
export interface Edit {
  readonly file: string;
  readonly find: string;
  readonly replace: string;
}

export interface Mutant {
  readonly name: string;
  readonly edits: readonly Edit[];
}

const edit = (file: string, find: string, replace = ''): Edit => ({ file, find, replace });
const mutant = (name: string, ...edits: readonly Edit[]): Mutant => ({ name, edits });

export const mutants: readonly Mutant[] = [
  mutant(
    'an unknown outcome is tried again blindly',
    edit(
      'rules/retry.ts',
      `if (attempted.kind === 'unknown' && !safe) return null;`,
      `if (attempted.kind === 'unknown') return 0;`,
    ),
  ),
  mutant(
    'a call is settled twice',
    edit('store/settle-call.ts', 'if (!(await isOpen(tx, call_id))) return grown;'),
    edit(
      'call/settle.ts',
      'const written = recordOutcome(',
      'await recordOutcome(call, answer, outcome.discovered, world);\n  const written = recordOutcome(',
    ),
  ),
  mutant(
    'a reservation is leaked',
    edit('store/calls.ts', 'if (closed.reserved !== null) await settleReservations(tx, id, fields.status);'),
  ),
  mutant(
    'a reservation is given back while in doubt',
    edit('rules/quota.ts', `['held', 'running', 'in_doubt']`, `['held', 'running']`),
  ),
  mutant(
    'a quota is overshot by calls under way',
    edit('rules/quota.ts', 'return posted + reserved + amount <= limit;', 'return posted + amount <= limit;'),
    edit(
      'store/quotas.ts',
      'where quota_use.posted + quota_use.reserved + excluded.reserved <= ?',
      'where quota_use.posted + excluded.reserved <= ?',
    ),
  ),
  mutant(
    'an approval is not spent',
    edit(
      'store/admit-call.ts',
      `if (approval !== null) await setStatus(tx, approval.id, 'approved', approval.next, now_ms);`,
    ),
  ),
  mutant(
    'the vote of a person who is not entitled counts',
    edit(
      'rules/approval.ts',
      'if (!electorate.members(ask.group).has(person) || !electorate.mayApprove(person)) return false;',
    ),
  ),
  mutant(
    `the owner's vote counts where the rule excludes it`,
    edit(
      'rules/approval.ts',
      `return !(ask.excluding.includes('owner') && [owner, asker, ...hand_owners].includes(person));`,
      'return true;',
    ),
  ),
  mutant(
    'a vote on another deed counts',
    edit('admin/approvals.ts', 'if (request.deed_digest !== row.deed_digest) {', 'if (false) {'),
    edit('call/decide.ts', 'grants.votes.filter((vote) => vote.deed_digest === deedDigest)', 'grants.votes'),
  ),
  mutant(
    'a write goes on before its intent is on disk',
    edit(
      'call/admit.ts',
      `if (call.tool.effect === 'read' && !once && claims.length === 0) {`,
      'if (call.approval === null) {',
    ),
  ),
  mutant(
    'no halt is asked for before an attempt',
    edit('call/attempt.ts', 'if (world.halts.stops(of))', 'if (false)'),
    edit('call/execute.ts', 'if (halted !== null) return halted;'),
  ),
  mutant(
    'a halt does not end an attempt that waits',
    edit('call/halt-board.ts', 'if (this.stops(watch.of)) watch.abort();'),
  ),
  mutant(
    'admission does not look at halts',
    edit('store/admit-call.ts', `if (standing.halt !== null) return 'halted';`),
  ),
  mutant(
    'admission and the bundle do not look at suspensions',
    edit(
      'store/admit-call.ts',
      `if (standing.agent_status !== null) return { why: 'agent_suspended', status: standing.agent_status };`,
    ),
    edit('call/status-board.ts', 'this.#set = set;'),
  ),
  mutant(
    'a restart forgets the halts',
    edit('main.ts', 'await refreshHalts(world);'),
    edit('jobs/run-jobs.ts', '() => refreshHalts(world)', 'async () => undefined'),
  ),
  mutant(
    'a reply is not kept before it is interpreted',
    edit('call/execute.ts', `await world.store.perform('keepReply', { id: call.id, reply: text });`),
  ),
  mutant(
    'keys are not kept',
    edit(
      'call/call-row.ts',
      '...(call.idempotencyKey === null ? {} : { idempotency_key: call.idempotencyKey }),',
    ),
  ),
  mutant(
    'labels that are found in a reply are dropped',
    edit('store/settle-call.ts', 'await taint(tx, discovered.run, discovered.labels)', '[]'),
  ),
  mutant(
    'declared labels are not joined at admission',
    edit('store/admit-call.ts', 'await taint(tx, run, admission.labels)', '[]'),
  ),
  mutant(
    'a crash counts as not done',
    edit(
      'jobs/recover-intents.ts',
      `const status = read ? 'failed' : 'in_doubt';`,
      `const status = 'failed';`,
    ),
  ),
  mutant(
    'a lost reply is told as a failure',
    edit(
      'call/settle.ts',
      `return { status: 'in_doubt', problem: problem('in_doubt', detail) };`,
      `return { status: 'failed', problem: problem('tool_timeout', detail) };`,
    ),
  ),
  mutant(
    'what was never sent is told as done',
    edit(
      'call/settle.ts',
      `return { status: 'failed', problem: notSentProblem(`,
      `return { status: 'succeeded', problem: notSentProblem(`,
    ),
  ),
  mutant(
    'what the world does not confirm is told as done',
    edit('call/settle.ts', `if (call.verification === 'disagrees') {`, 'if (false) {'),
  ),
  mutant(
    'a deed that may be under way is sent again',
    edit('call/recover.ts', 'if (waiting !== null) return waiting;'),
  ),
  mutant(
    'a refusal after a lost attempt counts as not done',
    edit(
      'call/try-deed.ts',
      'return { reply: doubt ? concluded(reply, call.tool) : reply, attempts };',
      'return { reply, attempts };',
    ),
  ),
  mutant(
    'nobody looks for a call in doubt',
    edit('store/settle-call.ts', 'await openDoubt(tx, call_id, doubt.tenant, outcome.at_ms);', ';'),
  ),
  mutant(
    'what could not be recorded is forgotten',
    edit('call/perform-call.ts', 'world.stranded.set(call.id, { tenant: call.agent.tenant });'),
  ),
  mutant(
    'a caller that left is not noticed',
    edit('call/admit.ts', 'if (call.talk?.left() === true)', 'if (false)'),
    edit('call/execute.ts', 'if (call.talk?.left() === true)', 'if (false)'),
  ),
  mutant(
    'a suspended agent goes on with what it asked before',
    edit('identity/create-identity.ts', `if (principal.status !== 'active')`, 'if (false)'),
  ),
  mutant(
    'a credential comes back in a reply',
    edit(
      'connectors/redact-reply.ts',
      `if (reply.kind === 'ok') return { kind: 'ok', response: redactor.json(reply.response) };`,
      'if (reply.kind === "ok") return reply;',
    ),
  ),
  mutant(
    'entries that were not committed stay in the tree',
    edit('store/writer.ts', 'for (const { tx } of ran.toReversed()) tx.undo();'),
  ),
];
