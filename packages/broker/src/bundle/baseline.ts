// The policies that ship with the product: they hold in every bundle unless a named, expiring waiver sets one aside.

interface Baseline {
  readonly id: string;
  readonly asks: boolean;
  readonly because: string;
  readonly scope: string;
  readonly when: string;
}

const baselines: readonly Baseline[] = [
  {
    id: 'baseline-observe',
    asks: false,
    because: 'This agent only observes: it may read and nothing else.',
    scope: 'action in Action::"write"',
    when: 'context.mode == "observe"',
  },
  {
    id: 'baseline-suggest',
    asks: true,
    because: 'This agent only suggests: a person decides on every write.',
    scope: 'action in Action::"write"',
    when: 'context.mode == "suggest"',
  },
  {
    id: 'baseline-irreversible',
    asks: true,
    because: 'What cannot be undone needs a person.',
    scope: 'action in Action::"irreversible"',
    when: 'true',
  },
  {
    id: 'baseline-exfiltration',
    asks: true,
    because: 'Nothing leaves a run that has read both private and untrusted data without a person.',
    scope: 'action in Action::"egress"',
    when: 'context.labels.containsAll(["private", "untrusted"])',
  },
  {
    id: 'baseline-imported',
    asks: true,
    because: 'Nobody has reviewed this imported tool yet: a person decides on every call.',
    scope: 'action in Action::"imported"',
    when: 'true',
  },
];

export const BASELINE_IDS: readonly string[] = baselines.map((it) => it.id);

/** Imported tools waive lint rules because a person sees every call; that cannot be waived as well. */
export const UNWAIVABLE = 'baseline-imported';

/**
 * Cedar text of the baseline. Without `ask` (`approvals.default`) nobody can be asked, so the forbids are plain
 * denials. A waived policy is not dropped: it comes back by itself on the day its waiver expires.
 */
export function baselineText(
  ask: string | null,
  waivers: readonly { readonly policy: string; readonly expires: string }[],
): string {
  return baselines
    .map((policy) => {
      const waiver = waivers.find((it) => it.policy === policy.id && policy.id !== UNWAIVABLE);
      const clauses = [
        ...(policy.when === 'true' ? [] : [`when { ${policy.when} }`]),
        ...(waiver === undefined ? [] : [`when { context.now >= datetime("${waiver.expires}") }`]),
      ];
      return [
        `@id("${policy.id}")`,
        ...(policy.asks && ask !== null ? [`@approval("${ask}")`] : []),
        `@because("${policy.because}")`,
        `forbid (principal, ${policy.scope}, resource)`,
        ...clauses,
      ].join('\n');
    })
    .map((text) => `${text};\n`)
    .join('\n');
}
