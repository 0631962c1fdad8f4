// A person who logs in for a connector: the broker's own login, a browser that agrees, and the grant handed to the vault.
import assert from 'node:assert/strict';
import type { JsonObject } from '@countersign/contract/json.ts';
import { openRedirect } from '#cli/loopback-redirect.ts';
import { createDiscoveredNetwork } from '#connectors/discovered-network.ts';
import { beginLogin } from '#credentials/oauth/begin-login.ts';
import { asRecord, type Grant, readGrant } from '#credentials/oauth/grant.ts';
import { oauthOptions } from '#credentials/oauth/options.ts';
import type { Vault } from '#credentials/oauth/vault.ts';
import { browse } from './authorization-server.ts';

export interface LoginWorld {
  readonly vault: Vault;
  readonly readSecret: (reference: string) => Promise<string>;
  readonly clock: { now(): number };
}

export async function logIn(connector: string, options: JsonObject, world: LoginWorld): Promise<Grant> {
  const { vault, readSecret, clock } = world;
  const network = createDiscoveredNetwork(true);
  const redirect = await openRedirect(0);
  try {
    const before = readGrant(await vault.look(connector));
    const begun = await beginLogin({
      ...{ options: oauthOptions(options), before, network, readSecret, clock },
      redirect_uri: redirect.uri,
    });
    assert.ok(begun.ok, begun.ok ? '' : begun.reason);
    const coming = redirect.wait(begun.state, AbortSignal.timeout(10_000));
    await browse(begun.url);
    const finished = await begun.finish(await coming);
    assert.ok(finished.ok, finished.ok ? '' : finished.reason);
    await vault.offer(connector, asRecord(finished.grant));
    return finished.grant;
  } finally {
    await redirect.close();
    await network.close();
  }
}
