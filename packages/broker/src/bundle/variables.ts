// Names of the environment variables that a bundle refers to: they hold secrets.
import type { Bundle } from './bundle.ts';

export function variablesOf({ connectors, settings }: Bundle): ReadonlySet<string> {
  const names = new Set<string>();
  const look = (value: unknown): void => {
    if (typeof value === 'string' && value.startsWith('env:')) names.add(value.slice('env:'.length));
    else if (typeof value === 'object' && value !== null) for (const each of Object.values(value)) look(each);
  };
  for (const { credential } of connectors.values()) look(credential);
  look(settings.alerts.webhooks);
  look(settings.sealing);
  return names;
}
