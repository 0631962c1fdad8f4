// Asks a person about one imported tool: what it does, what comes back, what can leave through it, how far its arguments go.
import { isJsonObject, type Json, type JsonObject } from '@countersign/contract/json.ts';
import type { ReviewAnswers } from '#bundle/import-review.ts';
import { lintInput } from '#bundle/lint-schema.ts';
import { printable, printableFields, printableJson } from './printable.ts';
import type { Terminal } from './terminal.ts';

/** The answers; `skip`: leave this tool as it is; `quit`: stop here (also when nobody can be asked any more). */
export type Asked =
  | { readonly kind: 'answers'; readonly answers: ReviewAnswers }
  | { readonly kind: 'skip' | 'quit' };

type Mutable = { -readonly [K in keyof ReviewAnswers]: ReviewAnswers[K] };

class Stopped extends Error {}

/** `comment`: what the import wrote at the head of the manifest, the server's own words among it. */
export async function askAbout(manifest: JsonObject, comment: string, terminal: Terminal): Promise<Asked> {
  const ask = async (question: string): Promise<string> => {
    const answer = await terminal.ask(question);
    if (answer === null) throw new Stopped();
    return answer.trim();
  };
  terminal.out(describe(manifest, comment));
  try {
    const effect = await ask('What does it do to the world? [read/write/irreversible, s: skip, q: quit] ');
    if (/^q(uit)?$/i.test(effect)) return { kind: 'quit' };
    if (effect !== 'read' && effect !== 'write' && effect !== 'irreversible') return { kind: 'skip' };
    const answers: Mutable = { effect };
    await askOutput(answers, ask);
    await askBounds(answers, manifest.input as JsonObject, ask);
    if (effect !== 'read') await askDeed(answers, ask);
    return { kind: 'answers', answers };
  } catch (error) {
    if (error instanceof Stopped) return { kind: 'quit' };
    throw error;
  }
}

type Ask = (question: string) => Promise<string>;

async function askOutput(answers: Mutable, ask: Ask): Promise<void> {
  const labels = await ask(
    'What may come back? [untrusted, private, secret or own labels; -: nothing; empty: as it is] ',
  );
  if (labels !== '') answers.labels = labels === '-' ? [] : words(labels);
  const egress = await ask('Through which arguments can data or money leave? [names, *: all, empty: none] ');
  answers.egress = egress === '*' ? '*' : words(egress);
}

/** One question for each argument without a bound; empty leaves it, and the tool imported. */
async function askBounds(answers: Mutable, input: JsonObject, ask: Ask): Promise<void> {
  const bounds: Record<string, JsonObject> = {};
  for (const { pointer, rule } of lintInput(input)) {
    if (rule !== 'input-bounded') continue;
    const part = at(input, pointer);
    const answer = await ask(`Bound for ${printable(pointer)}: ${formOf(part.type)}; empty: none] `);
    const patch = boundOf(part.type, answer);
    if (patch !== null) bounds[pointer] = { ...bounds[pointer], ...patch };
  }
  if (Object.keys(bounds).length > 0) answers.input = bounds;
}

async function askDeed(answers: Mutable, ask: Ask): Promise<void> {
  const strategy = await ask(
    'What makes a repeat safe? [header/client-id/precondition/upsert/marker, empty: nothing] ',
  );
  if (strategy !== '') answers.idempotency = { strategy };
  const id = await ask(
    'What is the id of what it leaves behind? [CEL over args and response, e.g. args.path, empty: unknown] ',
  );
  if (id !== '') answers.sideEffect = { id };
  const tool = await ask(
    'Which tool of the same server reads back what it did? [its name there, empty: none] ',
  );
  if (tool !== '') {
    const args = await askObject('Its arguments [JSON, values like "=args.path"] ', ask);
    const expect = await ask(
      'What must hold then? [CEL over verify and args, e.g. verify.content == args.content] ',
    );
    if (expect !== '') answers.verify = { bind: { mcp: { tool, args } }, expect: [expect] };
    const found = await ask(
      'And how does it show, after a lost reply, that it happened? [CEL over lookup and args, empty: it does not] ',
    );
    if (found !== '') answers.lookup = { bind: { mcp: { tool, args } }, found };
  }
  if (answers.effect !== 'irreversible') return;
  const runbook = await ask('What does a person do to make good for it? ');
  if (runbook !== '') answers.compensate = { kind: 'manual', runbook };
}

async function askObject(question: string, ask: Ask): Promise<JsonObject> {
  for (;;) {
    const answer = await ask(question);
    if (answer === '') return {};
    try {
      const value = JSON.parse(answer) as Json;
      if (isJsonObject(value)) return value;
    } catch {
      // Asked again below.
    }
  }
}

function formOf(type: Json | undefined): string {
  if (type === 'integer' || type === 'number')
    return '[lowest..highest, "whole " before it for whole numbers';
  return type === 'array' ? '[most items' : '[most characters, or a|b|c for a choice';
}

/** The keywords that a short answer stands for, or null when it says nothing that fits. */
export function boundOf(type: Json | undefined, answer: string): JsonObject | null {
  const range = /^(whole )?(-?\d+)\.\.(-?\d+)$/.exec(answer);
  if ((type === 'integer' || type === 'number') && range !== null) {
    const whole = range[1] === undefined ? {} : { type: 'integer' };
    return { ...whole, minimum: Number(range[2]), maximum: Number(range[3]) };
  }
  if (/^\d+$/.test(answer)) {
    if (type === 'string') return { maxLength: Number(answer) };
    if (type === 'array') return { maxItems: Number(answer) };
  }
  if (type === 'string' && answer.includes('|'))
    return { enum: answer.split('|').map((choice) => choice.trim()) };
  return null;
}

function at(schema: JsonObject, pointer: string): JsonObject {
  let part: Json | undefined = schema;
  for (const step of pointer.split('/').slice(1))
    part = (part as Record<string, Json>)[step.replaceAll('~1', '/').replaceAll('~0', '~')];
  return isJsonObject(part) ? part : {};
}

function words(text: string): string[] {
  return text.split(/[\s,]+/).filter((word) => word !== '');
}

/** Everything here may be written by whoever wrote the server. */
function describe(manifest: JsonObject, comment: string): string {
  const input = manifest.input as JsonObject;
  const properties = isJsonObject(input.properties) ? input.properties : {};
  const fields = Object.fromEntries(
    Object.entries(properties).map(([name, part]) => [name, printableJson(part)]),
  );
  return [
    '',
    printable(`${String(manifest.name)}: ${String(manifest.description)}`),
    ...comment.split('\n').map((line) => printable(` ${line}`)),
    'Arguments:',
    printableFields(fields),
  ].join('\n');
}
