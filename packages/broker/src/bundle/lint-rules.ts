// The one table of lint rules: what each asks of a tool, why, and who may set it aside.

import type { Position } from './mistake.ts';

/** `never`; `imported` tools only (a person sees every call of them); any tool with a `reason`. */
export type Waivable = 'never' | 'imported' | 'reason';

export interface LintRule {
  readonly what: string;
  readonly why: string;
  readonly waivable: Waivable;
}

export const lintRules = {
  'input-closed': {
    what: 'Every object of the arguments has additionalProperties: false.',
    why: 'A key that nobody named is an argument that nobody reviewed.',
    waivable: 'imported',
  },
  'input-bounded': {
    what: 'Every text, number and list of the arguments has a bound: texts 65,536 characters, lists 1,000 items at most.',
    why: 'A tool whose inputs do not fit in a sentence is too broad.',
    waivable: 'imported',
  },
  'no-free-url': {
    what: 'An argument that names an address on the network, or who receives something, is listed under egress.',
    why: 'Whoever chooses the address chooses where the data goes.',
    waivable: 'imported',
  },
  'no-passthrough': {
    what: 'No argument passes free text on as SQL, a query language, a command, or parts of a request.',
    why: 'Whoever writes the query decides what the tool is.',
    waivable: 'reason',
  },
  'egress-known': {
    what: 'egress names arguments that exist.',
    why: 'A slip there leaves the real way out unguarded.',
    waivable: 'never',
  },
  'read-is-not-egress': {
    what: 'A tool with egress is a write.',
    why: 'A read whose address or recipient the caller chooses can carry data away.',
    waivable: 'imported',
  },
  'one-sentence': {
    what: 'The description is one sentence of at most 160 characters.',
    why: 'What cannot be said in a sentence cannot be reviewed in ten seconds.',
    waivable: 'imported',
  },
  'write-summary': {
    what: 'Every write says in summary what an approver reads.',
    why: 'A person decides on the sentence, not on the arguments.',
    waivable: 'imported',
  },
  'write-idempotency': {
    what: 'Every write names idempotency.',
    why: 'Without it a repeat is a second deed.',
    waivable: 'imported',
  },
  'write-verify': {
    what: 'Every write names verify.',
    why: 'Only reading back says whether the world agrees.',
    waivable: 'imported',
  },
  'write-side-effect': {
    what: 'Every write names sideEffect.',
    why: 'The record must lead to what the deed left behind.',
    waivable: 'imported',
  },
  'write-lookup': {
    what: 'Every write names lookup, or an idempotency strategy by which sending again is safe.',
    why: 'After a lost reply somebody must be able to find out, without doing it twice.',
    waivable: 'imported',
  },
  'retry-is-safe': {
    what: 'A write is tried again after an unknown outcome only where that is safe, and a look-up that lags says how long.',
    why: 'What may have been carried out must not be carried out twice.',
    waivable: 'never',
  },
  'irreversible-compensates': {
    what: 'Every irreversible tool names compensate, if only manual.',
    why: 'On the day it goes wrong, the way back must be written down.',
    waivable: 'imported',
  },
  'compensate-fits': {
    what: 'What undoes a tool is a write that exists and takes its arguments, or a runbook for people.',
    why: 'On the day it is needed it must work, and nobody tries it before.',
    waivable: 'never',
  },
  'prepared-pinned': {
    what: 'Prepared values that bind, resources, cost, credential, idempotency or summary read are pinned.',
    why: 'What was approved must be what is done: the world may change in between.',
    waivable: 'reason',
  },
  'text-labelled': {
    what: 'Output that may carry free text of others is labelled untrusted.',
    why: 'Text that outsiders write can steer the model that reads it.',
    waivable: 'reason',
  },
  'visible-to-policy': {
    what: 'Arguments and prepared values have types that policy can see.',
    why: 'No rule can be written about a value that no policy can read.',
    waivable: 'reason',
  },
  'resource-named': {
    what: 'A resource expression begins with the literal system:kind/.',
    why: 'The caller may choose which thing is touched, never what kind of thing.',
    waivable: 'never',
  },
  'reads-known': {
    what: 'Expressions read only what exists when they run.',
    why: 'A name that is missing at run time refuses a call that was meant to work.',
    waivable: 'never',
  },
  'context-declared': {
    what: 'Required context is declared in countersign.yaml.',
    why: 'Nobody could bind it.',
    waivable: 'never',
  },
  'label-declared': {
    what: 'Labels are untrusted, private, secret, or declared in countersign.yaml.',
    why: 'A misspelt label guards nothing.',
    waivable: 'never',
  },
  'bind-fits-connector': {
    what: 'The connector exists, and binds are of its kind; reads are bound to reads.',
    why: 'A prepare step that writes would act before anybody decided.',
    waivable: 'never',
  },
  'mcp-digest': {
    what: 'A bind to an MCP tool carries the digest of the reviewed definition.',
    why: 'A server that changes what a tool does after the review must not go unnoticed.',
    waivable: 'never',
  },
  'name-reserved': {
    what: 'No tool is named like a built-in one.',
    why: 'An agent could not tell whom it asks.',
    waivable: 'never',
  },
  'openapi-digest': {
    what: 'A bind to an OpenAPI operation carries the digest of the reviewed slice.',
    why: 'A description that changes after the review must not go unnoticed.',
    waivable: 'never',
  },
  'name-unique': {
    what: 'Names of tools differ even after folding look-alike characters.',
    why: 'People and models must not mistake one tool for another.',
    waivable: 'never',
  },
} as const satisfies Record<string, LintRule>;

export type LintRuleId = keyof typeof lintRules;

/** Reports one finding of a rule, unless the manifest waives the rule. */
export type Found = (
  rule: LintRuleId,
  pointer: string,
  message: string,
  hint?: string,
  at?: Position,
) => void;
