// Decides whether every value that a manifest's expressions read exists when they run, and is pinned where it must be.
import type { JsonObject } from '@countersign/contract/json.ts';
import type { Found } from './lint-rules.ts';
import type { Manifest, Use } from './manifest.ts';
import { hintFor } from './mistake.ts';
import type { Declared } from './settings.ts';

/** Sections whose values an approval covers: what they read of the world must not change unseen. */
const PINNED_SECTIONS: readonly string[] = [
  'bind',
  'resources',
  'cost',
  'credential',
  'idempotency',
  'summary',
];
const FIXED: Readonly<Record<string, readonly string[]>> = {
  call: ['id', 'label'],
  run: ['id', 'tenant', 'agent'],
  cost: ['minor', 'currency'],
  sideEffect: ['id', 'url'],
};

/** Reports `reads-known` and `prepared-pinned`. */
export function lintReads(manifest: Manifest, declared: Declared | null, found: Found): void {
  for (const use of manifest.uses) {
    checkKnown(use, manifest, declared, found);
    checkPinned(use, manifest, found);
  }
}

function checkKnown(use: Use, manifest: Manifest, declared: Declared | null, found: Found): void {
  const [root = '', first] = use.path;
  const { tool } = manifest;
  const unknown = (what: string, name: string, known: Iterable<string>): void =>
    found('reads-known', use.pointer, `no ${what} "${name}"`, hintFor(name, known), use.at);
  if (root === 'cost' && tool.cost === undefined) {
    found('reads-known', use.pointer, 'this tool names no cost', 'add cost, or leave it out here', use.at);
  }
  if (first === undefined) return;
  const fixed = FIXED[root];
  if (fixed !== undefined) {
    if (!fixed.includes(first)) unknown(`member of ${root}`, first, fixed);
  } else if (root === 'args') {
    checkMembers(use, 1, tool.input, 'argument', manifest, found);
  } else if (root === 'bound') {
    if (declared !== null && !declared.context.includes(first))
      unknown('context key', first, declared.context);
    else if (!tool.requires.includes(first))
      checkAsked(use, 2, manifest, found, `list it under context.required`);
  } else if (root === 'prepared') {
    const own = /^\/prepare\/(\d+)\//.exec(use.pointer);
    const steps = own === null ? tool.prepare : tool.prepare.slice(0, Number(own[1]));
    const step = steps.find((it) => it.id === first);
    if (step !== undefined) checkMembers(use, 2, step.output, `member of prepared.${first}`, manifest, found);
    else {
      const hint = tool.prepare.some((it) => it.id === first)
        ? 'steps read only those before them'
        : hintFor(
            first,
            steps.map((it) => it.id),
          );
      found('reads-known', use.pointer, `no prepare step "${first}" before this`, hint, use.at);
    }
  }
}

function checkMembers(
  use: Use,
  from: number,
  schema: JsonObject,
  what: string,
  manifest: Manifest,
  found: Found,
): void {
  let part: JsonObject | undefined = schema;
  for (let i = from; i < use.path.length && part !== undefined; i++) {
    const properties = part.properties as JsonObject | undefined;
    if (properties === undefined) return;
    const name = use.path[i]!;
    if (!Object.hasOwn(properties, name)) {
      if (part.additionalProperties === false) {
        found(
          'reads-known',
          use.pointer,
          `no ${what} "${name}"`,
          hintFor(name, Object.keys(properties)),
          use.at,
        );
      }
      return;
    }
    const required = ((part.required ?? []) as readonly string[]).includes(name);
    if (!required) checkAsked(use, i + 1, manifest, found, 'make it required');
    part = properties[name] as JsonObject | undefined;
  }
}

// A missing member is an error, and an error refuses the call: what may be missing must be asked for first.
function checkAsked(use: Use, length: number, manifest: Manifest, found: Found, otherwise: string): void {
  if (use.optional) return;
  const path = use.path.slice(0, length);
  const asked = manifest.uses.some(
    (it) =>
      it.pointer === use.pointer && it.optional && it.path.length >= length && startsWith(it.path, path),
  );
  if (asked) return;
  const name = path.join('.');
  found(
    'reads-known',
    use.pointer,
    `${name} may be missing`,
    `ask has(${name}) first, or ${otherwise}`,
    use.at,
  );
}

function checkPinned(use: Use, manifest: Manifest, found: Found): void {
  if (use.path[0] !== 'prepared' || use.path.length < 2 || !PINNED_SECTIONS.includes(use.section)) return;
  // Reads the step anew, after the deed.
  if (use.pointer.startsWith('/idempotency/alreadyDone/')) return;
  const pins = manifest.uses.filter((it) => it.section === 'pin');
  if (pins.some((pin) => startsWith(use.path, pin.path))) return;
  const name = use.path.join('.');
  found(
    'prepared-pinned',
    use.pointer,
    `${use.section} reads ${name}, which is not pinned`,
    `add "${name}" to pin`,
    use.at,
  );
}

function startsWith(path: readonly string[], prefix: readonly string[]): boolean {
  return prefix.length <= path.length && prefix.every((step, index) => step === path[index]);
}
