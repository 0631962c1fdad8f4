// Label: what the run has read so far, together with what the fresh reads of this call bring in.
import { problem } from '@countersign/contract/problem.ts';
import type { Labelled, Prepared } from './call.ts';
import { readRun } from './read-run.ts';
import type { Stage } from './step.ts';

/** Ends with `run_ended`. Labels are read again after slow fresh reads, since another call may have joined some. */
export const label: Stage<Prepared, Labelled> = async (call, world) => {
  const run =
    call.tool.prepare.length === 0 ? call.run : await readRun(world, call.agent.tenant, call.run.id);
  if (run === undefined || run.ended_at_ms !== null) {
    return { stop: problem('run_ended', `Run ${call.run.id} has ended; ask for a new run.`) };
  }
  const labels =
    call.preparedLabels.length === 0
      ? run.labels
      : [...new Set([...run.labels, ...call.preparedLabels])].sort();
  return { go: { ...call, labels, labelsVersion: run.labels_version } };
};
