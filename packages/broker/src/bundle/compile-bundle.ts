// Loads a bundle folder: all its files read, checked and compiled into one immutable value, or all mistakes at once.
import { canonicalize } from '@countersign/contract/canonical.ts';
import { digestOf } from '@countersign/contract/digest.ts';
import type { Json, JsonObject } from '@countersign/contract/json.ts';
import { releaseCedar } from '#rules/cedar-load.ts';
import { factBase } from '#rules/facts.ts';
import type { TrustedIssuer } from '#rules/federation.ts';
import { compileSchema } from '#rules/json-schema.ts';
import { baselineText } from './baseline.ts';
import type { Bundle, ConnectorSpec, Loaded, Settings, Webhook } from './bundle.ts';
import { cedarSchema } from './cedar-schema.ts';
import { checkShape, type FileKind } from './check-shape.ts';
import { secretFile } from './connector-credential.ts';
import { type ConnectorFile, compileConnectors } from './connectors.ts';
import { secretsInText } from './leaked-secrets.ts';
import { lintCompensations } from './lint-compensation.ts';
import { lintCredential } from './lint-credential.ts';
import type { LintRuleId } from './lint-rules.ts';
import { type LintWorld, lintNamesApart, lintTool } from './lint-tool.ts';
import { compileManifest, type Manifest } from './manifest.ts';
import { Mistakes } from './mistake.ts';
import { parseYaml, type Source } from './parse-yaml.ts';
import { passedReads } from './passed-reads.ts';
import { BASELINE_FILE, compilePolicies, whyUnreachable } from './policies.ts';
import { compilePrincipals, type PrincipalFile, type Principals } from './principals.ts';
import { checkQuotas } from './quotas.ts';
import { type FileTexts, readFiles } from './read-files.ts';
import { type CompiledSettings, compileSettings } from './settings.ts';
import { compileTests } from './test-cases.ts';

export interface LoadOptions {
  /** For warnings about waivers that are over. Default: none are given. */
  readonly now_ms?: number;
  /** What a connector kind says of an operation, given by the floor that knows; sentences, empty when it may run. */
  readonly checkOperation?: NonNullable<LintWorld['checkOperation']>;
  /** What a connector kind says of the options of a connector, by pointer into its file. */
  readonly checkConnector?: (spec: ConnectorSpec) => readonly {
    readonly pointer: string;
    readonly message: string;
    readonly hint?: string;
  }[];
  /** What is wrong with the address of a webhook, by pointer into its settings. */
  readonly checkWebhook?: (webhook: Webhook) => ReturnType<NonNullable<LoadOptions['checkConnector']>>;
  /** What is wrong with the addresses of a trusted issuer, by pointer into its entry. */
  readonly checkIssuer?: (issuer: TrustedIssuer) => ReturnType<NonNullable<LoadOptions['checkConnector']>>;
  /** What a connector kind says of an operation that may run, and yet differs from what was reviewed. */
  readonly warnOperation?: NonNullable<LintWorld['warnOperation']>;
}

/** Reads and compiles the bundle in `dir`. Never throws for what is in the folder; nothing stops at the first mistake. */
export async function loadBundle(dir: string, options: LoadOptions = {}): Promise<Loaded> {
  const mistakes = new Mistakes();
  const read = await readFiles(dir, mistakes);
  if (read === null) return { ok: false, mistakes: mistakes.all() };
  try {
    return compileBundle(read.root, read.texts, options, mistakes);
  } finally {
    releaseCedar();
  }
}

/** Compiles files that were read. `root`: real path of the folder, against which paths are resolved. */
export function compileBundle(
  root: string,
  texts: FileTexts,
  options: LoadOptions,
  mistakes: Mistakes = new Mistakes(),
): Loaded {
  const files = sortFiles(texts, mistakes);
  const compiled = compileSettings(files.settings.value, files.settings.source, root, mistakes);
  const { settings, declared } = compiled;
  const people = compilePrincipals(
    files.principals,
    { settings, declared, texts, named: files.named },
    mistakes,
  );
  const electorate = files.broken('person') ? null : people;
  if (electorate !== null) checkAsk(compiled, electorate, files.settings.source, mistakes);
  checkWaivers(files, options, mistakes);
  checkAddresses(files.settings.source, settings, options, mistakes);
  const protect = [
    { path: root, what: 'the bundle folder' },
    ...settings.alerts.webhooks.flatMap(({ secret }) => secretFile(secret, root)),
    // Where the data lies is not known of a broken file.
    ...(declared === null ? [] : [{ path: settings.data_dir, what: 'the data folder with store and keys' }]),
  ];
  const connectors = compileConnectors(files.connectors, root, protect, mistakes, texts);
  for (const { source, value } of files.connectors) {
    const spec = connectors.get(value.name as string);
    for (const { pointer, message, hint } of (spec && options.checkConnector?.(spec)) ?? [])
      mistakes.error(source.file, source.at(pointer), message, hint);
  }
  const { manifests, untyped } = compileManifests(files, connectors, compiled, options, mistakes);
  const tools = manifests.map((it) => it.tool);
  const { source, value } = files.settings;
  checkQuotas(
    (value?.quotas ?? []) as readonly JsonObject[],
    { agents: files.named('agent'), toolNames: files.named('tool'), tools },
    (pointer, message, hint) => mistakes.error(source.file, source.at(pointer), message, hint),
  );
  const policyTexts = new Map(files.policies);
  policyTexts.set(
    BASELINE_FILE,
    baselineText(compiled.ask === null ? null : settings.approvals.default, settings.waivers),
  );
  const cedar = cedarSchema(tools, settings, connectors.keys());
  const schema = files.broken('countersign') ? null : { cedar, untyped };
  const names = namesForPolicies(files, people, settings);
  const policies = compilePolicies(policyTexts, schema, tools, { electorate, names }, mistakes);
  const tests = compileTests(
    files.tests,
    { agents: files.named('agent'), tools: files.named('tool'), policies },
    mistakes,
  );
  if (policies === null || mistakes.hasErrors) return { ok: false, mistakes: mistakes.all() };
  const canonical = { ...files.canonical, [BASELINE_FILE]: policyTexts.get(BASELINE_FILE) ?? '' };
  const bundle: Bundle = {
    revision: digestOf(canonical),
    settings,
    ...people,
    connectors,
    tools: new Map(tools.map((tool) => [tool.name, tool])),
    policies,
    facts: factBase({
      agents: people.agents.values(),
      tools,
      connectors: connectors.keys(),
      context: settings.context,
    }),
    checkContext: contextChecks(settings.context),
    tests,
    cedar_schema: cedar.text,
    files: canonical,
  };
  return { ok: true, bundle, warnings: mistakes.all() };
}

/** Names that a policy may mention, by entity type; types of which files are broken are left out. */
function namesForPolicies(
  { named, broken }: SortedFiles,
  { agents }: Principals,
  { tenants }: Settings,
): ReadonlyMap<string, ReadonlySet<string>> {
  const names = new Map<string, ReadonlySet<string>>([
    ['Agent', named('agent')],
    ['Person', named('person')],
    ['Connector', named('connector')],
  ]);
  if (!broken('countersign')) names.set('Tenant', new Set(tenants));
  if (!broken('agent')) names.set('Role', new Set([...agents.values()].flatMap((agent) => agent.roles)));
  return names;
}

/** A check for each declared key; a key that is not declared never fits. */
function contextChecks(context: Settings['context']): Bundle['checkContext'] {
  const checks = new Map(
    Object.entries(context).map(([key, schema]) => {
      const compiled = compileSchema(schema);
      return [key, compiled.ok ? compiled.check : null] as const;
    }),
  );
  return (key, value) => checks.get(key)?.(value) ?? [{ pointer: '', message: `"${key}" is not declared` }];
}

interface SortedFiles {
  /** `value` null: broken or missing. */
  readonly settings: { readonly source: Source; readonly value: JsonObject | null };
  readonly principals: readonly PrincipalFile[];
  readonly connectors: readonly ConnectorFile[];
  readonly tools: readonly { readonly source: Source; readonly value: JsonObject }[];
  /** Names in all files of a kind, also of files with mistakes: nobody is blamed for referring to these. */
  readonly named: (kind: FileKind) => ReadonlySet<string>;
  /** Whether a file of this kind was left out. */
  readonly broken: (kind: FileKind) => boolean;
  readonly policies: ReadonlyMap<string, string>;
  readonly tests: readonly { readonly source: Source; readonly value: JsonObject }[];
  readonly canonical: Readonly<Record<string, string>>;
}

const KINDS: Readonly<Record<string, FileKind>> = {
  agents: 'agent',
  orchestrators: 'orchestrator',
  people: 'person',
  connectors: 'connector',
  tools: 'tool',
  tests: 'test',
};

const SECRETS_ELSEWHERE: readonly string[] = ['connectors', 'specs', 'keys'];

/** Parses every file and sorts it by its folder; files of the wrong shape are left out and told. */
function sortFiles(texts: FileTexts, mistakes: Mistakes): SortedFiles {
  const byKind = new Map<FileKind, { source: Source; value: JsonObject }[]>();
  const policies = new Map<string, string>();
  const canonical: Record<string, string> = {};
  const names = new Map<FileKind, Set<string>>();
  const broken = new Set<FileKind>();
  let settings: SortedFiles['settings'] = { source: NO_FILE, value: null };
  for (const [path, text] of [...texts].sort(([a], [b]) => (a < b ? -1 : 1))) {
    const folder = path.slice(0, Math.max(0, path.indexOf('/')));
    // Connector files are looked at value by value; descriptions of vendors are full of examples.
    if (!SECRETS_ELSEWHERE.includes(folder)) secretsInText(path, text, mistakes);
    if (folder === 'policies') {
      policies.set(path, text);
      canonical[path] = text;
    } else if (folder === 'specs' || folder === 'handlers') canonical[path] = text;
    else if (folder === 'keys') canonical[path] = canonicalKey(path, text, mistakes);
    else {
      const kind = KINDS[folder] ?? 'countersign';
      const source = parseYaml(path, text, mistakes);
      const name = (source?.value as JsonObject | null | undefined)?.name ?? nameIn(text);
      if (typeof name === 'string') names.set(kind, (names.get(kind) ?? new Set()).add(name));
      if (source !== null) canonical[path] = canonicalize(source.value);
      const value = source === null ? null : checkShape(source, kind, mistakes);
      if (source === null || value === null) {
        broken.add(kind);
        continue;
      }
      if (kind === 'countersign') settings = { source, value };
      else {
        const ofKind = byKind.get(kind) ?? [];
        ofKind.push({ source, value });
        byKind.set(kind, ofKind);
      }
    }
  }
  if (!texts.has('countersign.yaml')) {
    broken.add('countersign');
    mistakes.error(
      'countersign.yaml',
      { line: 1, column: 1 },
      'the bundle has no countersign.yaml',
      'an object without keys takes every default: {}',
    );
  }
  const of = (kind: FileKind) => byKind.get(kind) ?? [];
  const principals = (['agent', 'orchestrator', 'person'] as const).flatMap((kind) =>
    of(kind).map((file) => ({ kind, ...file })),
  );
  return {
    settings,
    principals,
    connectors: of('connector'),
    tools: of('tool'),
    policies,
    tests: of('test'),
    canonical,
    named: (kind) => names.get(kind) ?? NO_NAMES,
    broken: (kind) => broken.has(kind),
  };
}

/** The name in a file that cannot be parsed, so that those who refer to it are not blamed. */
function nameIn(text: string): string | undefined {
  return /^name:[ \t]*["']?([A-Za-z0-9._@-]+)/m.exec(text)?.[1];
}

const NO_NAMES: ReadonlySet<string> = new Set();
const NO_FILE: Source = { file: 'countersign.yaml', value: {}, at: () => ({ line: 1, column: 1 }) };

function canonicalKey(path: string, text: string, mistakes: Mistakes): string {
  try {
    const value = JSON.parse(text) as Json;
    if (typeof value === 'object' && value !== null && 'd' in value) {
      mistakes.error(
        path,
        { line: 1, column: 1 },
        'a private key is in the bundle',
        'replace it: it must be taken as known to others',
      );
    }
    return canonicalize(value);
  } catch {
    mistakes.error(path, { line: 1, column: 1 }, 'the file is not JSON', 'a key file holds one public JWK');
    return text;
  }
}

// Findings after which the generated types of a tool are not what its author meant.
const TYPING: readonly LintRuleId[] = ['input-closed', 'visible-to-policy', 'context-declared'];

/** `untyped`: tools whose types are broken, so that policies are not blamed for naming what they meant to have. */
function compileManifests(
  files: SortedFiles,
  connectors: ReadonlyMap<string, ConnectorSpec>,
  { declared }: CompiledSettings,
  options: LoadOptions,
  mistakes: Mistakes,
): { readonly manifests: readonly Manifest[]; readonly untyped: ReadonlySet<string> } {
  const passed = files.connectors.flatMap(({ source, value }) => {
    const spec = connectors.get(value.name as string);
    return spec === undefined
      ? []
      : passedReads(spec, source, mistakes).map((read) => ({ source, value: read }));
  });
  const manifests = [...files.tools, ...passed]
    .map(({ source, value }) => compileManifest(value, source, mistakes))
    .filter((it) => it !== null);
  const world: LintWorld = {
    declared,
    connectors,
    connectorNames: files.named('connector'),
    tools: files.named('tool'),
    ...(options.checkOperation === undefined ? {} : { checkOperation: options.checkOperation }),
    ...(options.warnOperation === undefined ? {} : { warnOperation: options.warnOperation }),
  };
  const typed = new Set<string>();
  for (const manifest of manifests) {
    const broken = lintTool(manifest, world, mistakes);
    lintCredential(manifest, connectors, mistakes);
    if (!TYPING.some((rule) => broken.has(rule))) typed.add(manifest.tool.name);
  }
  lintNamesApart(manifests, mistakes);
  lintCompensations(manifests, files.named('tool'), mistakes);
  return { manifests, untyped: new Set([...files.named('tool')].filter((name) => !typed.has(name))) };
}

/** What the floor that dials says of the addresses in countersign.yaml. */
function checkAddresses(
  source: Source,
  { alerts, issuers }: Settings,
  { checkWebhook, checkIssuer }: LoadOptions,
  mistakes: Mistakes,
): void {
  const tell = (at: string, found: ReturnType<NonNullable<typeof checkWebhook>> = []): void => {
    for (const { pointer, message, hint } of found)
      mistakes.error(source.file, source.at(`${at}${pointer}`), message, hint);
  };
  for (const [index, webhook] of alerts.webhooks.entries())
    tell(`/alerts/webhooks/${index}`, checkWebhook?.(webhook));
  for (const [index, issuer] of issuers.entries()) tell(`/issuers/${index}`, checkIssuer?.(issuer));
}

function checkAsk({ ask }: CompiledSettings, people: Principals, source: Source, mistakes: Mistakes): void {
  const reason = ask === null ? null : whyUnreachable(ask, people);
  if (reason !== null)
    mistakes.error(source.file, source.at('/approvals/default'), reason.message, reason.hint);
}

function checkWaivers(
  { settings: { source, value }, named }: SortedFiles,
  { now_ms }: LoadOptions,
  mistakes: Mistakes,
): void {
  const waivers = (value?.waivers ?? []) as unknown as Bundle['settings']['waivers'];
  waivers.forEach((waiver, index) => {
    if (!named('person').has(waiver.by)) {
      mistakes.error(source.file, source.at(`/waivers/${index}/by`), `no person "${waiver.by}"`);
    }
    if (now_ms !== undefined && Date.parse(waiver.expires) <= now_ms) {
      mistakes.warn(
        source.file,
        source.at(`/waivers/${index}/expires`),
        `the waiver of "${waiver.policy}" is over; the policy is in force`,
      );
    }
  });
}
