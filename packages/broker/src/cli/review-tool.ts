// Judges one imported tool with a person's answers: active when every rule holds, else imported with what is missing.
import {
  ANSWER_KEYS,
  answeredManifest,
  type ReviewAnswers,
  ruleOf,
  stillImported,
} from '#bundle/import-review.ts';
import { lintRules } from '#bundle/lint-rules.ts';
import type { FileTexts } from '#bundle/read-files.ts';
import { judgeTexts } from './read-bundle.ts';

export interface ReviewPlace {
  /** Real path of the bundle. */
  readonly root: string;
  readonly texts: FileTexts;
  /** The manifest, relative to the bundle. */
  readonly file: string;
  readonly now_ms: number;
  readonly by: string;
}

export type Reviewed =
  | { readonly kind: 'active'; readonly yaml: string }
  /** Sentences of what is missing; the answers are kept. */
  | { readonly kind: 'imported'; readonly yaml: string; readonly missing: readonly string[] }
  /** The answers themselves are wrong; nothing is to be written. */
  | { readonly kind: 'wrong'; readonly mistakes: readonly string[] };

export function reviewTool(place: ReviewPlace, answers: ReviewAnswers): Reviewed {
  const { root, texts, file, now_ms } = place;
  const before = texts.get(file)!;
  const odd = oddities(answers);
  if (odd.length > 0) return { kind: 'wrong', mistakes: odd };
  const complete = withDigests(answers, texts);
  let candidate: string;
  try {
    candidate = answeredManifest(
      before,
      complete,
      `${place.by} on ${new Date(now_ms).toISOString().slice(0, 10)}`,
    );
  } catch (error) {
    if (error instanceof RangeError) return { kind: 'wrong', mistakes: [error.message] };
    throw error;
  }
  const judge = (yaml: string): readonly string[] => {
    const loaded = judgeTexts(root, new Map([...texts, [file, yaml]]), now_ms);
    return loaded.ok ? [] : loaded.mistakes.filter((it) => it.severity === 'error').map((it) => it.message);
  };
  const found = judge(candidate);
  if (found.length === 0) return { kind: 'active', yaml: candidate };
  const missing = [...new Set(found.map(ruleOf).filter((rule) => rule !== null))];
  const waivable = missing.filter((rule) => lintRules[rule].waivable !== 'never').sort();
  const imported = stillImported(candidate, before, waivable, complete.waives ?? {});
  const left = judge(imported);
  if (left.length > 0) return { kind: 'wrong', mistakes: left };
  return { kind: 'imported', yaml: imported, missing: found };
}

function oddities(answers: ReviewAnswers): string[] {
  const unknown = Object.keys(answers).filter((key) => !(ANSWER_KEYS as readonly string[]).includes(key));
  const rules = Object.keys(answers.waives ?? {}).filter(
    (rule) =>
      !Object.hasOwn(lintRules, rule) || lintRules[rule as keyof typeof lintRules].waivable !== 'reason',
  );
  return [
    ...unknown.map((key) => `unknown answer "${key}"; known: ${ANSWER_KEYS.join(', ')}`),
    ...rules.map((rule) => `the rule "${rule}" cannot be set aside by a reason`),
  ];
}

/** verify and lookup name a tool of the upstream; its digest is the one that this bundle reviewed already. */
function withDigests(answers: ReviewAnswers, texts: FileTexts): ReviewAnswers {
  const filled = (part: ReviewAnswers['verify']): ReviewAnswers['verify'] => {
    const bind = part?.bind as { mcp?: { tool?: string; digest?: string } } | undefined;
    if (part === undefined || bind?.mcp?.tool === undefined || bind.mcp.digest !== undefined) return part;
    const digest = digestOf(bind.mcp.tool, texts);
    return digest === null ? part : { ...part, bind: { mcp: { ...bind.mcp, digest } } };
  };
  const { verify, lookup } = answers;
  return {
    ...answers,
    ...(verify === undefined ? {} : { verify: filled(verify)! }),
    ...(lookup === undefined ? {} : { lookup: filled(lookup)! }),
  };
}

/** Of the one manifest that is bound to this upstream tool; null when none or several are. */
function digestOf(tool: string, texts: FileTexts): string | null {
  const quoted = tool.replace(/[.*+?^${}()|[\]\\]/g, '\\$&');
  const pattern = new RegExp(`^ {4}tool: "?${quoted}"?\\n {4}digest: "?(sha256:[0-9a-f]{64})"?$`, 'm');
  const found = [...texts].flatMap(([path, text]) => {
    const digest = path.startsWith('tools/') ? pattern.exec(text)?.[1] : undefined;
    return digest === undefined ? [] : [digest];
  });
  return new Set(found).size === 1 ? found[0]! : null;
}
