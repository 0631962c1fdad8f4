// The table of grants: what the token endpoint takes, and nothing else.
import { clientCredentials } from './client-credentials.ts';
import type { Grant } from './grant.ts';
import { jwtBearer } from './jwt-bearer.ts';
import { tokenExchange } from './token-exchange.ts';

export const grants: readonly Grant[] = [clientCredentials, jwtBearer, tokenExchange];
