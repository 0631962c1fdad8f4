// `countersign tools review`: walks a person through the imported tools, and writes each answer into its manifest.
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { isJsonObject, type Json, type JsonObject } from '@countersign/contract/json.ts';
import type { Command } from 'commander';
import { parse, parseDocument } from 'yaml';
import type { ReviewAnswers } from '#bundle/import-review.ts';
import { readWhole, replaceFile } from './bundle-folder.ts';
import type { CliWorld } from './connection.ts';
import { CliFailure, EXIT } from './exit.ts';
import { countOf } from './mistakes.ts';
import { printable } from './printable.ts';
import { askAbout } from './review-questions.ts';
import { type Reviewed, reviewTool } from './review-tool.ts';

interface ReviewOptions {
  readonly answers?: string;
  readonly by?: string;
}

/** Adds `review` to the group of `countersign tools`. */
export function reviewCommand(tools: Command, world: CliWorld): void {
  tools
    .command('review [dir]')
    .description('go through the imported tools of a bundle: each becomes active once every rule holds')
    .option('--answers <file>', 'answers by tool name (YAML or JSON), instead of questions')
    .option('--by <name>', 'who reviews, for the comment in the file; default: your user name')
    .action((dir: string | undefined, options: ReviewOptions) => review(dir ?? '.', options, world));
}

async function review(dir: string, options: ReviewOptions, world: CliWorld): Promise<void> {
  const { terminal, environment } = world;
  const now_ms = Date.now();
  const { root, texts } = await readWhole(dir, now_ms, 'the review');
  const given = options.answers === undefined ? null : readAnswers(options.answers);
  const by = options.by ?? environment.USER ?? 'a person';
  const waiting = [...texts.keys()].filter((path) => isImported(path, texts.get(path)!));
  refuseUnknown(
    given,
    waiting.map((path) => nameIn(texts.get(path)!)),
  );
  let active = 0;
  for (const file of waiting) {
    const answers =
      given === null ? await asked(texts.get(file)!, terminal) : (given[nameIn(texts.get(file)!)] ?? 'skip');
    if (answers === 'quit') break;
    if (answers === 'skip') continue;
    const reviewed = reviewTool({ root, texts, file, now_ms, by }, answers);
    if (reviewed.kind !== 'wrong') {
      texts.set(file, reviewed.yaml);
      replaceFile(join(root, file), reviewed.yaml);
    }
    if (reviewed.kind === 'active') active++;
    else world.exit(EXIT.no);
    terminal.out(printable(outcome(nameIn(texts.get(file)!), reviewed)));
    for (const line of whatIsMissing(reviewed)) terminal.out(printable(`  ${line}`));
  }
  const left = [...texts].filter(([path, text]) => isImported(path, text)).length;
  terminal.out(
    `\n${countOf(active, 'tool')} became active, ${left} stay imported: every call of those waits for a person.`,
  );
  if (active > 0) terminal.out('Put it into force: countersign bundle activate');
}

function readAnswers(file: string): Readonly<Record<string, ReviewAnswers>> {
  let value: Json;
  try {
    value = parse(readFileSync(file, 'utf8')) as Json;
  } catch (error) {
    throw new CliFailure(EXIT.usage, printable(`${file}: ${(error as Error).message}`));
  }
  if (isJsonObject(value) && Object.values(value).every(isJsonObject))
    return value as Record<string, ReviewAnswers>;
  throw new CliFailure(EXIT.usage, `${file}: expected an object of answers for each tool name`);
}

function refuseUnknown(given: Readonly<Record<string, unknown>> | null, waiting: readonly string[]): void {
  const unknown = Object.keys(given ?? {}).filter((name) => !waiting.includes(name));
  if (unknown.length > 0)
    throw new CliFailure(
      EXIT.usage,
      printable(`no imported tool is called ${unknown.join(', ')}; nothing was written`),
    );
}

function isImported(path: string, text: string): boolean {
  return path.startsWith('tools/') && parseDocument(text).getIn(['lifecycle', 'status']) === 'imported';
}

function nameIn(text: string): string {
  return String(parseDocument(text).get('name'));
}

async function asked(text: string, terminal: CliWorld['terminal']): Promise<ReviewAnswers | 'skip' | 'quit'> {
  const document = parseDocument(text);
  const said = await askAbout(document.toJS() as JsonObject, document.commentBefore ?? '', terminal);
  return said.kind === 'answers' ? said.answers : said.kind;
}

function outcome(name: string, reviewed: Reviewed): string {
  if (reviewed.kind === 'active') return `${name} is active.`;
  if (reviewed.kind === 'imported') return `${name} stays imported; your answers are kept. Missing:`;
  return `${name} is unchanged; the answers do not fit:`;
}

function whatIsMissing(reviewed: Reviewed): readonly string[] {
  if (reviewed.kind === 'active') return [];
  return reviewed.kind === 'imported' ? reviewed.missing : reviewed.mistakes;
}
