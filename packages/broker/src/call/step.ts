// The one shape of a stage, and the composition in which a wrong order does not compile.
import type { Problem } from '@countersign/contract/problem.ts';
import type { CallAnswer } from '@countersign/contract/wire.ts';
import type { Agent } from '#rules/principal.ts';
import type { World } from './world.ts';

/**
 * What a stage answers: go on with one more field; stop with a refusal; hold for people; done with an answer that
 * exists already; or again, because what was judged has changed meanwhile.
 */
export type Step<Out> =
  | { readonly go: Out }
  | { readonly stop: Problem; readonly executed?: true; readonly known?: Known; readonly decided?: Decided }
  | { readonly hold: Out }
  | { readonly done: CallAnswer }
  | { readonly again: string };

/** Ids of the policies that decided, for the ledger: the caller may be told less. */
type Decided = readonly string[];

/** The agent that was stopped before its call had it and a run; null when it is not known which. */
export interface Known {
  readonly agent: Agent;
  readonly run_id: string | null;
}

/**
 * A stage adds readonly fields to the call that it was given; it never takes any away. It answers a promise only where
 * it has to wait.
 */
export type Stage<In, Out extends In> = (call: In, world: World) => Step<Out> | Promise<Step<Out>>;

/** A chain of stages from `First` to `Last`. `stage` accepts only a stage whose input the chain already provides. */
export interface Chain<First, Last extends First> {
  stage<Next extends Last>(name: string, stage: Stage<Last, Next>): Chain<First, Next>;
  readonly names: readonly string[];
  /** Runs the stages in order; the first that does not go on ends the chain, with the call as far as it got. */
  run(call: First, world: World): Promise<Ended<First, Last>>;
}

export interface Ended<First, Last> {
  readonly step: Step<Last>;
  /** Name of the stage that answered last. */
  readonly at: string;
  /** The call with every field that was added before the end. */
  readonly call: First & Partial<Last>;
}

/** A stage threw, which no refusal does: `call` is what the stage was given. */
export class StageBroke extends Error {
  override readonly name = 'StageBroke';
  readonly at: string;
  readonly call: unknown;
  constructor(at: string, call: unknown, cause: unknown) {
    super(`stage ${at}: ${(cause as Error).message}`, { cause });
    this.at = at;
    this.call = call;
  }
}

/** An empty chain: start of a composition. */
export function chain<First>(): Chain<First, First> {
  return link<First, First>([]);
}

interface Named {
  readonly name: string;
  readonly stage: (call: never, world: World) => Step<unknown> | Promise<Step<unknown>>;
}

function link<First, Last extends First>(stages: readonly Named[]): Chain<First, Last> {
  return {
    names: stages.map((each) => each.name),
    stage<Next extends Last>(name: string, stage: Stage<Last, Next>) {
      return link<First, Next>([...stages, { name, stage: stage as Named['stage'] }]);
    },
    async run(call, world) {
      let current: unknown = call;
      let at = 'start';
      for (const { name, stage } of stages) {
        at = name;
        let step: Step<unknown>;
        try {
          const answer = stage(current as never, world);
          step = answer instanceof Promise ? await answer : answer;
        } catch (error) {
          throw new StageBroke(at, current, error);
        }
        if (!('go' in step)) {
          if ('hold' in step) current = step.hold;
          return { step: step as Step<Last>, at, call: current as First & Partial<Last> };
        }
        current = step.go;
      }
      return { step: { go: current as Last }, at, call: current as First & Partial<Last> };
    },
  };
}
