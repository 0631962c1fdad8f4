// Validate: the arguments take their one canonical form, are checked, and give the request digest.
import { canonicalize } from '@countersign/contract/canonical.ts';
import { digestOf, sha256Hex } from '@countersign/contract/digest.ts';
import { isJsonObject, type JsonObject } from '@countersign/contract/json.ts';
import { problem } from '@countersign/contract/problem.ts';
import { saysOtherwise } from '#rules/bound-context.ts';
import { contentKeyOf } from '#rules/content-key.ts';
import type { Resolved, Validated } from './call.ts';
import { narrowedText, notCarried } from './narrowed.ts';
import type { Stage } from './step.ts';

/**
 * Ends with `invalid_arguments`, `insufficient_scope` (a token for another call), `context_missing` or
 * `context_mismatch`.
 */
export const validate: Stage<Resolved, Validated> = (call) => {
  const { tool } = call;
  if (!isJsonObject(call.args)) {
    const issues = [{ pointer: '', message: 'expected an object of arguments' }];
    return { stop: problem('invalid_arguments', `"${tool.name}" takes an object of arguments.`, { issues }) };
  }
  const args: JsonObject = call.args;
  const issues = tool.checkInput(args);
  if (issues.length > 0) {
    const first = issues[0]!;
    const where = first.pointer === '' ? '' : `${first.pointer}: `;
    return {
      stop: problem(
        'invalid_arguments',
        `The arguments do not fit "${tool.name}": ${where}${first.message}.`,
        {
          issues,
        },
      ),
    };
  }
  const only = call.agent.narrowed?.call ?? null;
  if (only !== null && only.args_digest !== digestOf(args)) return { stop: notCarried(tool.name) };
  const missing = tool.requires.filter((key) => !Object.hasOwn(call.run.bound, key));
  if (missing.length > 0) {
    return {
      stop: problem(
        'context_missing',
        `"${tool.name}" needs a run that is bound to: ${missing.join(', ')}. Only an orchestrator can open one.`,
      ),
    };
  }
  const { claimed } = call;
  const otherwise = saysOtherwise(tool.equalToBound, { args, claimed, bound: call.run.bound });
  if (otherwise.length > 0) {
    const detail = `Refused: ${otherwise[0]!.message}. What a run is bound to cannot be overridden.`;
    return { stop: problem('context_mismatch', detail, { issues: otherwise }) };
  }
  // Reads without a key never ask for it.
  let known: string | undefined;
  const requestDigest = (): string => {
    const narrowed = narrowedText(call.agent);
    const request = {
      ...{ agent: call.agent.name, args, claimed, run: call.run.id, tool: tool.name },
      // What one token was answered is not told to another that carries less.
      ...(narrowed === null ? {} : { narrowed }),
    };
    known ??= sha256Hex(canonicalize(request));
    return known;
  };
  const input = { args, claimed, requestDigest };
  return { go: { ...call, idempotencyKey: keyOf(call, input), input } };
};

/** A caller's own key; for a write without one, where the bundle says so, the key of its content. */
function keyOf(call: Resolved, { requestDigest }: Validated['input']): string | null {
  const { idempotencyKey, tool, bundle, talk } = call;
  const made = bundle.settings.idempotency.content_key === 'writes' && tool.effect !== 'read';
  if (idempotencyKey !== null || !made) return idempotencyKey;
  return contentKeyOf({
    run: call.run.id,
    step: call.step ?? null,
    request_digest: requestDigest(),
    responses: talk?.responses ?? null,
  });
}
