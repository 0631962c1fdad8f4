// Names of the ledger's logs.

/** The log of what concerns the installation and not one tenant. */
export const INSTALLATION_LOG = 'installation';

/** The log of a tenant. */
export function tenantLog(tenant: string): string {
  return `tenant/${tenant}`;
}
