// What the OAuth client reaches the network through: the checked network of the room.
import type { CheckedNetwork } from '../network.ts';

/** Every request of the OAuth client goes through this, so that no discovered address escapes the connector's limits. */
export type OauthNetwork = CheckedNetwork;
