// Compiles chains such as `context.args.amount`, read once per request however many policies ask.
import type { Evaluate, Frame } from './cedar-frame.ts';
import type { Code } from './cedar-node.ts';
import { CedarUnsupported } from './cedar-node.ts';
import { getAttribute } from './cedar-operators.ts';
import type { Value } from './cedar-value.ts';

/** The variables of a set of policies and the attribute chains on them, one closure each. */
export class Paths {
  private readonly known = new Map<string, Evaluate>();

  variable(name: unknown): Code {
    switch (name) {
      case 'principal':
        return this.chain('principal', (frame) => frame.principal);
      case 'action':
        return this.chain('action', (frame) => frame.action);
      case 'resource':
        return this.chain('resource', (frame) => frame.resource);
      case 'context':
        return this.chain('context', (frame) => frame.context);
      default:
        throw new CedarUnsupported(`the variable ${JSON.stringify(name)}`);
    }
  }

  /** `base.name`; a chain that starts at a variable is shared by all policies of the set. */
  attribute(base: Code, name: string): Code {
    const { run } = base;
    if (base.path === undefined) return { run: (frame) => getAttribute(run(frame), name, frame) };
    const path = `${base.path}.${JSON.stringify(name)}`;
    return this.chain(
      path,
      remember((frame) => getAttribute(run(frame), name, frame)),
    );
  }

  private chain(path: string, run: Evaluate): Code {
    const known = this.known.get(path) ?? run;
    this.known.set(path, known);
    return { run: known, path };
  }
}

/**
 * Keeps the value for the frame that it was read in. INVARIANT: a frame never changes and is judged without
 * interruption, so the same frame means the same value. Errors are not kept.
 */
function remember(run: Evaluate): Evaluate {
  let frameRead: Frame | undefined;
  let value: Value;
  return (frame) => {
    if (frame === frameRead) return value;
    value = run(frame);
    frameRead = frame;
    return value;
  };
}
