// The one table of HTTP routes: the server, OpenAPI and the door tests are made from it.
import { agentRoutes } from './agent-routes.ts';
import { callRoutes } from './call-routes.ts';
import { controlRoutes } from './control-routes.ts';
import { evidenceRoutes } from './evidence-routes.ts';
import { oauthRoutes } from './oauth-routes.ts';
import { openRoutes } from './open-routes.ts';
import type { Route } from './route.ts';
import { tokenRoutes } from './token-routes.ts';

export const routes: readonly Route[] = [
  ...oauthRoutes,
  ...openRoutes,
  ...callRoutes,
  ...controlRoutes,
  ...agentRoutes,
  ...tokenRoutes,
  ...evidenceRoutes,
];
