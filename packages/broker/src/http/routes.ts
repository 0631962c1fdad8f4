// The one table of HTTP routes: the server, OpenAPI and the door tests are made from it.
import { agentRoutes } from './agent-routes.ts';
import { callRoutes } from './call-routes.ts';
import { controlRoutes } from './control-routes.ts';
import { evidenceRoutes } from './evidence-routes.ts';
import { openRoutes } from './open-routes.ts';
import type { Route } from './route.ts';
import { secretRoutes } from './secret-routes.ts';

export const routes: readonly Route[] = [
  ...openRoutes,
  ...callRoutes,
  ...controlRoutes,
  ...agentRoutes,
  ...secretRoutes,
  ...evidenceRoutes,
];
