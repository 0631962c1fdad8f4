// Starts Prism on a slice of a vendor's own description: it refuses requests that the description does not allow.
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import type { Json, JsonObject } from '@countersign/contract/json.ts';
import { sliceDescription } from '#connectors/openapi/slice.ts';
import { freePort, startProgram } from '../connectors/openapi-pack.ts';

const PRISM = fileURLToPath(import.meta.resolve('@stoplight/prism-cli/dist/index.js'));

/** The slicer leaves out answers without a body, which Prism needs: what refers to nothing is taken as it stands. */
function withAnswers(slice: JsonObject, description: Json): JsonObject {
  const whole = (description as JsonObject)['paths'] as Record<string, Record<string, JsonObject>>;
  const paths = Object.entries(slice['paths'] as Record<string, JsonObject>).map(([path, item]) => {
    const operations = Object.entries(item).map(([method, cut]) => {
      const original = whole[path]?.[method];
      const closed = original !== undefined && !JSON.stringify(original).includes('"$ref"');
      return [method, closed ? original : cut];
    });
    return [path, Object.fromEntries(operations)];
  });
  return { ...slice, paths: Object.fromEntries(paths) };
}

/** `operations`: ids of those that are served. */
export async function startPrism(description: Json, operations: readonly string[]) {
  const sliced = sliceDescription(description, operations);
  if (!sliced.ok) throw new Error(sliced.reason);
  const folder = mkdtempSync(join(tmpdir(), 'prism-'));
  const file = join(folder, 'slice.json');
  writeFileSync(file, JSON.stringify(withAnswers(sliced.slice, description)));
  const port = await freePort();
  const prism = await startProgram(PRISM, ['mock', '-h', '127.0.0.1', '-p', String(port), file], port);
  return {
    url: prism.url,
    stop(): void {
      prism.stop();
      rmSync(folder, { recursive: true, force: true });
    },
  };
}
