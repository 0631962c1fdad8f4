// Builds a Credential Access Boundary: which objects of which buckets of Cloud Storage a token reaches, and how.
import { isJsonObject, type Json, type JsonObject } from '@countersign/contract/json.ts';

const BUCKET = /^[a-z0-9][a-z0-9._-]{1,220}[a-z0-9]$/;
const PERMISSION =
  /^inRole:(roles\/[A-Za-z0-9_.]{1,100}|(projects|organizations)\/[a-z0-9-]{1,60}\/roles\/[A-Za-z0-9_.]{1,100})$/;
/** No quote, no backslash, no control: the name of an object cannot end the literal that it stands in. */
const PREFIX = /^[^'"\\\p{C}]{1,800}$/u;
/** What Google takes. */
const RULES_MAX = 10;

/**
 * The boundary, or what is wrong with the rules. Each is `{bucket, permissions, prefix?, exact?}`: names of objects begin
 * with the prefix, or are it where `exact` is true.
 */
export function accessBoundary(rules: Json): JsonObject | string {
  if (!Array.isArray(rules) || rules.length === 0 || rules.length > RULES_MAX)
    return `credential.scope.objects must be 1 to ${RULES_MAX} rules`;
  const accessBoundaryRules: JsonObject[] = [];
  for (const rule of rules) {
    const built = ruleOf(rule);
    if (typeof built === 'string') return built;
    accessBoundaryRules.push(built);
  }
  return { accessBoundary: { accessBoundaryRules } };
}

function ruleOf(rule: Json): JsonObject | string {
  const { bucket, permissions, prefix, exact = false } = isJsonObject(rule) ? rule : {};
  if (typeof bucket !== 'string' || !BUCKET.test(bucket))
    return 'a rule of credential.scope.objects names no bucket';
  if (
    !Array.isArray(permissions) ||
    !permissions.every((each) => PERMISSION.test(String(each))) ||
    permissions.length === 0
  )
    return 'permissions of credential.scope.objects read inRole:roles/…';
  const base = {
    availableResource: `//storage.googleapis.com/projects/_/buckets/${bucket}`,
    availablePermissions: permissions,
  };
  if (prefix === undefined) return base;
  if (typeof prefix !== 'string' || !PREFIX.test(prefix))
    return 'a prefix of credential.scope.objects has letters that its condition cannot hold';
  const name = `'projects/_/buckets/${bucket}/objects/${prefix}'`;
  const expression = exact === true ? `resource.name == ${name}` : `resource.name.startsWith(${name})`;
  return { ...base, availabilityCondition: { expression } };
}
