// Holds a compiled manifest against the lint rules; a waiver sets a rule aside only where its row allows.
import type { JsonObject } from '@countersign/contract/json.ts';
import { mayHaveBeenDone } from '#rules/retry.ts';
import { isSafeToResend, SAFE_TO_RESEND } from '#rules/tool.ts';
import type { ConnectorSpec } from './bundle.ts';
import { choicesOf } from './lint-addresses.ts';
import { unlabelledText } from './lint-output.ts';
import { lintReads } from './lint-reads.ts';
import { type Found, type LintRuleId, lintRules } from './lint-rules.ts';
import { invisibleParts, lintInput } from './lint-schema.ts';
import type { Manifest } from './manifest.ts';
import { hintFor, type Mistakes } from './mistake.ts';
import type { Declared } from './settings.ts';

/** Where an operation stands: the bind as written, its connector, and whether it must not change anything. */
export interface OperationPlace {
  readonly bind: JsonObject;
  readonly spec: ConnectorSpec | undefined;
  readonly reads: boolean;
}

export interface LintWorld {
  /** Null: countersign.yaml is broken or missing, and no tool is blamed for what it would declare. */
  readonly declared: Declared | null;
  readonly connectors: ReadonlyMap<string, ConnectorSpec>;
  /** Names in all connector files, also of those that have mistakes of their own. */
  readonly connectorNames: ReadonlySet<string>;
  /** Names in all tool files, also of those that have mistakes of their own. */
  readonly tools: ReadonlySet<string>;
  /** What the connector's kind says of an operation; sentences, empty when it may run. */
  readonly checkOperation?: (
    kind: ConnectorSpec['kind'],
    operation: JsonObject,
    inputs: readonly string[],
    at: OperationPlace,
  ) => readonly string[];
  /** Told as warnings: the bundle loads, and the tool is paused. */
  readonly warnOperation?: (kind: ConnectorSpec['kind'], at: OperationPlace) => readonly string[];
}

const BUILT_IN_LABELS: readonly string[] = ['untrusted', 'private', 'secret'];
const DESCRIPTION_MAX = 160;
/** What the broker's built-in tools begin with. */
const RESERVED = 'countersign_';

/** Reports everything that the rules find in one manifest. Answers the rules that it breaks. */
export function lintTool(manifest: Manifest, world: LintWorld, mistakes: Mistakes): ReadonlySet<LintRuleId> {
  const { source } = manifest;
  const used = new Set<LintRuleId>();
  const broken = new Set<LintRuleId>();
  const waivers = waiversOf(manifest, mistakes);
  const found: Found = (rule, pointer, message, hint, at) => {
    used.add(rule);
    if (waivers.has(rule)) return;
    broken.add(rule);
    mistakes.error(source.file, at ?? source.at(pointer), `${rule}: ${message}`, hint);
  };
  lintArguments(manifest, found);
  lintDescription(manifest, found);
  if (manifest.tool.name.startsWith(RESERVED)) {
    found(
      'name-reserved',
      '/name',
      `names that begin with ${RESERVED} are the broker's own`,
      'choose another',
    );
  }
  lintWrite(manifest, found);
  lintBinds(manifest, world, found, mistakes);
  lintNames(manifest, world, found);
  lintReads(manifest, world.declared, found);
  for (const text of unlabelledText(manifest)) found('text-labelled', text.pointer, text.message, text.hint);
  manifest.resourcePrefixes.forEach((prefix, index) => {
    if (/^[a-z][a-z0-9_-]*:[a-z][a-z0-9_-]*\/$/.test(prefix.slice(0, prefix.indexOf('/') + 1))) return;
    found(
      'resource-named',
      `/resources/${index}`,
      'a resource begins with a literal system:kind/',
      `write it like "'desk:invoice/' + args.invoice"`,
    );
  });
  for (const rule of waivers) {
    if (!used.has(rule))
      mistakes.warn(
        source.file,
        source.at(`/lifecycle/waives/${rule}`, 'key'),
        `the waiver of "${rule}" is not needed`,
      );
  }
  return broken;
}

function waiversOf({ source, value, tool }: Manifest, mistakes: Mistakes): Set<LintRuleId> {
  const waives = ((value.lifecycle as JsonObject | undefined)?.waives ?? {}) as Record<string, string>;
  const granted = new Set<LintRuleId>();
  for (const rule of Object.keys(waives)) {
    const at = source.at(`/lifecycle/waives/${rule}`, 'key');
    if (!Object.hasOwn(lintRules, rule)) {
      mistakes.error(source.file, at, `no lint rule "${rule}"`, hintFor(rule, Object.keys(lintRules)));
      continue;
    }
    const { waivable } = lintRules[rule as LintRuleId];
    if (waivable === 'reason' || (waivable === 'imported' && tool.lifecycle.status === 'imported'))
      granted.add(rule as LintRuleId);
    else {
      const hint =
        waivable === 'imported'
          ? 'only tools with lifecycle.status imported may, and they are always held'
          : 'it has no exceptions';
      mistakes.error(source.file, at, `"${rule}" cannot be waived here`, hint);
    }
  }
  return granted;
}

function lintArguments({ tool }: Manifest, found: Found): void {
  for (const finding of lintInput(tool.input))
    found(finding.rule, `/input${finding.pointer}`, finding.message, finding.hint);
  for (const finding of invisibleParts(tool.input))
    found(finding.rule, `/input${finding.pointer}`, finding.message, finding.hint);
  tool.prepare.forEach((step, index) => {
    const pointer = `/prepare/${index}/output`;
    if (step.output.type !== 'object' || step.output.additionalProperties !== false) {
      found(
        'visible-to-policy',
        pointer,
        'policy cannot see what this step answers',
        'describe a closed object',
      );
    }
    for (const finding of invisibleParts(step.output))
      found(finding.rule, `${pointer}${finding.pointer}`, finding.message, finding.hint);
  });
  const properties = (tool.input.properties ?? {}) as Record<string, JsonObject>;
  const whole = tool.egress.includes('*');
  tool.egress.forEach((name, index) => {
    if (name !== '*' && !Object.hasOwn(properties, name)) {
      found(
        'egress-known',
        `/egress/${index}`,
        `no argument "${name}"`,
        hintFor(name, Object.keys(properties)),
      );
    }
  });
  for (const { pointer, name, argument, kind } of choicesOf(tool.input)) {
    const at = `/input${pointer}`;
    if (kind === 'passthrough') {
      const message = `"${name}" passes a language or a request of its own through`;
      found('no-passthrough', at, message, 'name what may be asked as arguments, or allow only an enum');
    } else if (!whole && (argument === null || !tool.egress.includes(argument))) {
      const what = kind === 'address' ? 'choose an address' : 'choose who receives something';
      const hint = `list ${argument === null ? 'it' : `"${argument}"`} under egress, or allow only an enum`;
      found('no-free-url', at, `"${name}" lets the caller ${what}`, hint);
    }
  }
  if (tool.egress.length > 0 && tool.effect === 'read') {
    found(
      'read-is-not-egress',
      '/effect',
      'the caller chooses where this goes, so it is not a read',
      'set effect: write',
    );
  }
}

function lintDescription({ tool }: Manifest, found: Found): void {
  const { description } = tool;
  const length = [...description].length;
  if (length > DESCRIPTION_MAX) {
    found('one-sentence', '/description', `${length} characters`, `say it in ${DESCRIPTION_MAX}`);
  } else if (/[\n\r]/.test(description) || /[.!?]\s+\S/.test(description)) {
    found('one-sentence', '/description', 'more than one sentence', 'say it in one');
  } else if (!/^[\p{L}\p{N}].*[.!?]$/u.test(description)) {
    found('one-sentence', '/description', 'not a sentence', 'begin with a word and end with a full stop');
  }
}

function lintWrite({ tool, value }: Manifest, found: Found): void {
  if (tool.effect === 'read') return;
  const missing = (rule: LintRuleId, key: string, hint: string): void => {
    if (value[key] === undefined)
      found(rule, '/effect', `a tool with effect ${tool.effect} names ${key}`, hint);
  };
  missing('write-summary', 'summary', 'the sentence that an approver reads');
  missing('write-idempotency', 'idempotency', 'what makes a repeat safe');
  missing('write-verify', 'verify', 'a read-back with expectations');
  missing('write-side-effect', 'sideEffect', 'the id of what the deed leaves behind');
  if (tool.lookup === undefined && !isSafeToResend(tool)) {
    found(
      'write-lookup',
      '/effect',
      'after a lost reply nobody can tell whether it happened',
      `name lookup, or a strategy that makes sending again safe (${SAFE_TO_RESEND.join(', ')})`,
    );
  }
  const doubtful = tool.retry?.on.find(
    (cause) => cause === 'unknown' || (typeof cause === 'number' && mayHaveBeenDone(cause)),
  );
  if (doubtful !== undefined && !isSafeToResend(tool)) {
    const hint = `leave it out, or name a strategy that makes sending again safe (${SAFE_TO_RESEND.join(', ')})`;
    found('retry-is-safe', '/retry/on', `after ${doubtful} the deed may have been carried out`, hint);
  }
  if (
    tool.idempotency?.strategy === 'marker' &&
    tool.idempotency.onUnknown === 'retry' &&
    tool.lookup === undefined
  ) {
    found(
      'retry-is-safe',
      '/idempotency/onUnknown',
      'nothing tells whether the deed happened',
      'name lookup',
    );
  }
  const { consistency, settle } = (value.lookup ?? {}) as JsonObject;
  if (consistency === 'eventual' && settle === undefined) {
    const hint = 'settle: how long until what was done is found for certain';
    found('retry-is-safe', '/lookup/consistency', 'nobody can tell when "not found" means not done', hint);
  }
  if (tool.effect === 'irreversible')
    missing('irreversible-compensates', 'compensate', 'at least kind: manual with a runbook');
}

function lintBinds(manifest: Manifest, world: LintWorld, found: Found, mistakes: Mistakes): void {
  const { tool, binds } = manifest;
  const connector = world.connectors.get(tool.connector);
  if (connector === undefined && !world.connectorNames.has(tool.connector)) {
    found(
      'bind-fits-connector',
      '/connector',
      `no connector "${tool.connector}"`,
      hintFor(tool.connector, world.connectorNames),
    );
  }
  for (const { pointer, reads, value } of binds) {
    const kind = Object.keys(value)[0] as ConnectorSpec['kind'];
    const at = `${pointer}/${kind}`;
    const body = value[kind] as JsonObject;
    if (connector !== undefined && connector.kind !== kind) {
      found(
        'bind-fits-connector',
        at,
        `"${connector.name}" is a ${connector.kind} connector`,
        `bind it by ${connector.kind}`,
      );
      continue;
    }
    if (kind === 'mcp' && body.tool !== undefined && body.digest === undefined) {
      found(
        'mcp-digest',
        at,
        'the bind has no digest of the reviewed definition',
        'take it from `countersign init`',
      );
    }
    if (kind === 'openapi' && body.digest === undefined) {
      found(
        'openapi-digest',
        at,
        'the bind has no digest of the reviewed operation',
        'take it from `countersign tools slice`',
      );
    }
    if (kind === 'sql') lintSql(body, at, reads, found);
    const place: OperationPlace = { bind: body, spec: connector, reads };
    const { params, args, ...operation } = body;
    const inputs = Object.keys((params ?? args ?? {}) as JsonObject);
    for (const sentence of world.checkOperation?.(kind, operation, inputs, place) ?? [])
      found('bind-fits-connector', at, sentence);
    for (const sentence of world.warnOperation?.(kind, place) ?? [])
      mistakes.warn(manifest.source.file, manifest.source.at(at), sentence);
  }
}

function lintSql(body: JsonObject, at: string, reads: boolean, found: Found): void {
  if ((body.statement === undefined) === (body.write === undefined)) {
    found('bind-fits-connector', at, 'expected either statement (a read) or write (a write)');
  } else if (body.write !== undefined && reads) {
    found('bind-fits-connector', `${at}/write`, 'this place only reads', 'use statement and rows');
  } else if (body.statement !== undefined && body.rows === undefined) {
    found('bind-fits-connector', at, 'a read says how many rows it answers', 'rows: one, optional or many');
  } else if (body.statement !== undefined && body.returning !== undefined) {
    found('bind-fits-connector', `${at}/returning`, 'returning belongs to a write');
  }
}

function lintNames({ tool, value }: Manifest, world: LintWorld, found: Found): void {
  const { declared } = world;
  const required = ((value.context as JsonObject | undefined)?.required ?? []) as readonly string[];
  tool.requires.forEach((key) => {
    const index = required.indexOf(key);
    if (declared !== null && !declared.context.includes(key))
      found(
        'context-declared',
        index < 0 ? `/context/equals/${key}` : `/context/required/${index}`,
        `no context key "${key}" in countersign.yaml`,
        hintFor(key, declared.context),
      );
  });
  const labels = [...BUILT_IN_LABELS, ...(declared?.labels ?? [])];
  const check = (list: readonly string[], pointer: string): void =>
    list.forEach((label, index) => {
      if (declared !== null && !labels.includes(label))
        found('label-declared', `${pointer}/${index}`, `no label "${label}"`, hintFor(label, labels));
    });
  check(tool.output.labels, '/output/labels');
  for (const { pointer, labels: list } of tool.output.fields)
    check(list, `/output/fields/${pointer.replaceAll('~', '~0').replaceAll('/', '~1')}`);
  tool.prepare.forEach((step, index) => {
    check(step.labels, `/prepare/${index}/labels`);
  });
  const other = (pointer: string, name: string | undefined): void => {
    if (name !== undefined && !world.tools.has(name))
      found('reads-known', pointer, `no tool "${name}"`, hintFor(name, world.tools));
  };
  other('/lifecycle/replaced_by', tool.lifecycle.replaced_by);
  const ids = tool.prepare.map((step) => step.id);
  ids.forEach((id, index) => {
    if (ids.indexOf(id) !== index)
      found('reads-known', `/prepare/${index}/id`, `the step "${id}" exists twice`);
  });
  if (tool.lifecycle.sunset !== undefined && tool.lifecycle.status !== 'deprecated') {
    found('reads-known', '/lifecycle/sunset', 'only a deprecated tool has a sunset');
  }
}

/** Reports tools whose names people or models could mistake for each other. */
export function lintNamesApart(manifests: readonly Manifest[], mistakes: Mistakes): void {
  const seen = new Map<string, Manifest>();
  for (const manifest of manifests) {
    const { source, tool } = manifest;
    const folded = foldName(tool.name);
    const first = seen.get(folded);
    if (first === undefined) seen.set(folded, manifest);
    else {
      const same = first.tool.name === tool.name ? 'is taken' : `looks like "${first.tool.name}"`;
      mistakes.error(
        source.file,
        source.at('/name'),
        `name-unique: the name "${tool.name}" ${same}`,
        `see ${first.source.file}`,
      );
    }
  }
}

/** One spelling for all names that look alike: width and case folded, 0 as o, 1 and i as l, rn as m, vv as w, separators dropped. */
export function foldName(name: string): string {
  return name
    .normalize('NFKC')
    .toLowerCase()
    .replace(/[\s_.-]+/g, '')
    .replaceAll('0', 'o')
    .replace(/[1i|]/g, 'l')
    .replaceAll('rn', 'm')
    .replaceAll('vv', 'w');
}
