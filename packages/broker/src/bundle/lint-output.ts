// Finds output of a tool that may carry text of outsiders and does not say so.
import type { JsonObject } from '@countersign/contract/json.ts';
import { eachSchema } from '#rules/schema-parts.ts';
import type { Manifest } from './manifest.ts';

/** Up to this many characters a text is a name or a code, not something that can give orders. */
const SHORT_TEXT = 64;

interface Unlabelled {
  readonly pointer: string;
  readonly message: string;
  readonly hint: string;
}

/** Free text in the output or in prepare steps that no `untrusted` label covers. */
export function unlabelledText(manifest: Manifest): Unlabelled[] {
  const { tool } = manifest;
  const out: Unlabelled[] = [];
  tool.prepare.forEach((step, index) => {
    if (step.labels.includes('untrusted')) return;
    const pointer = `/prepare/${index}/output`;
    for (const at of freeTexts(step.output)) out.push(textAt(`${pointer}${at}`, `label the step untrusted`));
  });
  if (tool.output.labels.includes('untrusted')) return out;
  if (tool.output.schema === undefined) {
    const message = 'nothing says what the output may hold';
    out.push({ pointer: '/output', message, hint: 'describe it in output.schema, or label it untrusted' });
    return out;
  }
  const labelled = tool.output.fields.filter((it) => it.labels.includes('untrusted')).map((it) => it.pointer);
  for (const at of freeTexts(tool.output.schema)) {
    const responses = responsePointers(manifest, at);
    const covered =
      responses.length > 0 && responses.every((it) => labelled.some((field) => covers(field, it)));
    if (!covered)
      out.push(textAt(`/output/schema${at}`, 'label it untrusted in output.labels or output.fields'));
  }
  return out;
}

function textAt(pointer: string, label: string): Unlabelled {
  return {
    pointer,
    message: 'free text of others may stand here',
    hint: `${label}, or bound it to ${SHORT_TEXT} characters or an enum`,
  };
}

function freeTexts(schema: JsonObject): string[] {
  const found: string[] = [];
  eachSchema(schema, (part, pointer) => {
    const types = Array.isArray(part.type) ? part.type : [part.type];
    if (!types.includes('string') || part.enum !== undefined || part.const !== undefined) return;
    if (part.format !== undefined && part.format !== 'uri') return;
    if (part.pattern !== undefined || (part.maxLength as number) <= SHORT_TEXT) return;
    found.push(pointer);
  });
  return found;
}

// Labels of fields speak of the response; the schema speaks of what the agent gets. A projection maps one to the other.
function responsePointers({ tool, uses }: Manifest, schemaPointer: string): string[] {
  const value = schemaPointer.replaceAll('/properties/', '/').replaceAll('/items', '/*');
  if (tool.output.project === undefined) return [value];
  const leaf = `/output/project${value}`;
  const reads = uses.filter((it) => it.pointer === leaf || leaf.startsWith(`${it.pointer}/`));
  if (reads.some((it) => it.path[0] !== 'response')) return [];
  return reads.map((it) => `/${it.path.slice(1).join('/')}${leaf.slice(it.pointer.length)}`);
}

function covers(field: string, pointer: string): boolean {
  return pointer === field || pointer.startsWith(`${field}/`);
}
