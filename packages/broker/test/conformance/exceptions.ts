// The required scenarios that do not pass, each with its reason. One that passes after all is stale and fails the test.
import type { Revision, Side } from './run-suite.ts';

const SUBSCRIBE = 'changes of an upstream resource are not watched, so no subscription is taken for one';

export const EXCEPTIONS: Readonly<
  Record<Revision, Readonly<Record<Side, Readonly<Record<string, string>>>>>
> = {
  '2026-07-28': { server: {}, client: {} },
  '2025-11-25': {
    server: { 'resources-subscribe': SUBSCRIBE, 'resources-unsubscribe': SUBSCRIBE },
    client: {},
  },
};
