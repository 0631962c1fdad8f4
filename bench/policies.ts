// A hundred policies that all have to be looked at for one order lookup: permits by role, forbids by condition.

const ROLES = ['support', 'sales', 'finance', 'warehouse', 'returns', 'fraud', 'audit', 'partner'];
const REGIONS = [
  'AT',
  'BE',
  'CH',
  'CZ',
  'DE',
  'DK',
  'ES',
  'FI',
  'FR',
  'IT',
  'NL',
  'NO',
  'PL',
  'PT',
  'SE',
  'UK',
];
const MONTHS = ['01', '02', '03', '04', '05', '06', '07', '08', '09', '10', '11', '12'];

/** Conditions under which a lookup is refused or needs a person, by a short name; none holds in the bench. */
function conditions(): readonly (readonly [string, string])[] {
  return [
    ...REGIONS.map((region) => [`region-${region}`, `context.args.order_id like "${region}-*"`] as const),
    ...REGIONS.map(
      (region, n) =>
        [
          `archive-${region}`,
          `context.args.order_id like "${region}-0${n % 10}*" && context.run.ambient && context.mode == "act"`,
        ] as const,
    ),
    ...MONTHS.map(
      (month) =>
        [
          `freeze-${month}`,
          `context.now >= datetime("2041-${month}-01T00:00:00Z") && context.now < datetime("2041-${month}-03T00:00:00Z")`,
        ] as const,
    ),
    ...ROLES.slice(1).map(
      (role) =>
        [`role-${role}`, `principal in Role::"${role}" && context.labels.contains("private")`] as const,
    ),
    ...sequence(15).map(
      (n) =>
        [
          `embargo-${n}`,
          `resource.id == "XX-9000${pad(n)}" || context.args.order_id == "XX-9100${pad(n)}"`,
        ] as const,
    ),
    ...sequence(10).map(
      (n) =>
        [
          `ticket-${n}`,
          `context.bound has ticket && context.bound.ticket like "ZD-77${n}*" && !(principal in Role::"audit")`,
        ] as const,
    ),
    ...sequence(8).map(
      (n) =>
        [
          `tainted-${n}`,
          `context.labels.containsAll(["private", "untrusted"]) && context.args.order_id like "*-${n}"`,
        ] as const,
    ),
    ...sequence(8).map(
      (n) => [`owner-${n}`, `principal.owner == Person::"leaver-${n}" && context.effect != "write"`] as const,
    ),
  ];
}

/** The text of each policy; the agent of the bench is permitted by exactly one and forbidden by none. */
export function benchPolicies(): readonly string[] {
  const permits = ROLES.map(
    (role) =>
      `@id("permit-${role}")\npermit (principal in Role::"${role}", action == Action::"lookup_order", resource);\n`,
  );
  const forbids = conditions().map(([name, when], n) => {
    const asks =
      n % 3 === 0 ? `@approval("1 of support-leads")\n@because("Orders of this kind need a person.")\n` : '';
    const action = n % 2 === 0 ? 'action == Action::"lookup_order"' : 'action in Action::"read"';
    return `@id("forbid-${name}")\n${asks}forbid (principal, ${action}, resource)\nwhen { ${when} };\n`;
  });
  return [...permits, ...forbids];
}

function sequence(length: number): readonly number[] {
  return Array.from({ length }, (_, n) => n);
}

function pad(n: number): string {
  return String(n).padStart(2, '0');
}
