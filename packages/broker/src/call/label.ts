// Label: what the run has read so far, together with what the fresh reads of this call bring in.
import { problem } from '@countersign/contract/problem.ts';
import type { Run } from '#rules/run.ts';
import type { Labelled, Prepared } from './call.ts';
import { readRun } from './read-run.ts';
import type { Stage, Step } from './step.ts';
import { undoingOf } from './undoing.ts';

/** Ends with `run_ended`. Labels are read again after slow fresh reads, since another call may have joined some. */
export const label: Stage<Prepared, Labelled> = (call, world) => {
  if (call.tool.prepare.length === 0) return labelled(call, call.run);
  const run = readRun(world, call.agent.tenant, call.run.id);
  return run instanceof Promise ? run.then((read) => labelled(call, read)) : labelled(call, run);
};

function labelled(call: Prepared, run: Run | undefined): Step<Labelled> {
  if (run === undefined || (run.ended_at_ms !== null && undoingOf(call) === null)) {
    return { stop: problem('run_ended', `Run ${call.run.id} has ended; ask for a new run.`) };
  }
  const labels =
    call.preparedLabels.length === 0
      ? run.labels
      : [...new Set([...run.labels, ...call.preparedLabels])].sort();
  return { go: { ...call, labels, labelsVersion: run.labels_version } };
}
