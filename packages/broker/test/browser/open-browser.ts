// A real Chromium for tests, with an authenticator that is not there: keys and user verification by CDP.
import type { Browser, BrowserContext, CDPSession, Page } from 'playwright-core';
import { chromium } from 'playwright-core';
import { provisionBrowser } from '../../../../scripts/provision-browser.ts';

export async function openBrowser(): Promise<Browser> {
  return chromium.launch({
    executablePath: await provisionBrowser(),
    // As root there is no other way; the pages are our own.
    args: process.getuid?.() === 0 ? ['--no-sandbox'] : [],
    chromiumSandbox: false,
  });
}

export interface Authenticator {
  readonly cdp: CDPSession;
  readonly id: string;
  /** Whether the person verifies as wanted (PIN, finger, face). */
  verifies(yes: boolean): Promise<void>;
  credentials(): Promise<readonly { readonly credentialId: string; readonly signCount: number }[]>;
}

/** A virtual authenticator of this page: internal, with resident keys, which verifies its user. */
export async function addAuthenticator(context: BrowserContext, page: Page): Promise<Authenticator> {
  const cdp = await context.newCDPSession(page);
  await cdp.send('WebAuthn.enable');
  const { authenticatorId: id } = await cdp.send('WebAuthn.addVirtualAuthenticator', {
    options: {
      protocol: 'ctap2',
      transport: 'internal',
      hasResidentKey: true,
      hasUserVerification: true,
      isUserVerified: true,
      automaticPresenceSimulation: true,
    },
  });
  return {
    ...{ cdp, id },
    verifies: async (isUserVerified) => {
      await cdp.send('WebAuthn.setUserVerified', { authenticatorId: id, isUserVerified });
    },
    credentials: async () => (await cdp.send('WebAuthn.getCredentials', { authenticatorId: id })).credentials,
  };
}
