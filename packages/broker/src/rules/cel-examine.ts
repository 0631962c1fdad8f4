// Decides before anything runs whether a parsed expression stays within its place: names, functions, nesting.
import type { ASTNode } from '@marcbachmann/cel-js';
import type { Reads } from './cel-values.ts';
import { nearestName } from './nearest.ts';

/** One mistake in an expression; `offset` counts characters of its source from 0. */
export interface ExpressionMistake {
  readonly offset: number;
  readonly message: string;
  readonly hint?: string;
}

/** A static member chain from a top-level name, e.g. `['prepared', 'invoice', 'status']`. */
export interface MemberPath {
  readonly path: readonly string[];
  readonly offset: number;
  /** Inside `has(...)`: it asks whether the member exists. */
  readonly optional: boolean;
}

export interface Examined {
  readonly mistakes: readonly ExpressionMistake[];
  readonly paths: readonly MemberPath[];
  readonly reads: Reads;
  /** How deeply comprehensions stand inside each other. */
  readonly nesting: number;
}

const FUNCTIONS: ReadonlySet<string> = new Set(['size', 'string', 'int', 'double', 'has', 'money']);
const COMPREHENSIONS: ReadonlySet<string> = new Set(['all', 'exists', 'exists_one', 'map', 'filter']);
const METHODS: ReadonlySet<string> = new Set([
  ...['startsWith', 'endsWith', 'contains', 'lowerAscii', 'upperAscii', 'trim', 'indexOf', 'lastIndexOf'],
  ...['substring', 'split', 'join', 'size'],
  ...COMPREHENSIONS,
]);
const NESTING_MAX = 2;

/** Walks the tree once. `names`: the top-level names that this place may read. */
export function examine(ast: ASTNode, names: readonly string[]): Examined {
  const walk = new Walk(names);
  walk.visit(ast, new Set(), 0, false);
  return { mistakes: walk.mistakes, paths: walk.paths, reads: readsOf(walk.paths), nesting: walk.nesting };
}

class Walk {
  readonly mistakes: ExpressionMistake[] = [];
  readonly paths: MemberPath[] = [];
  nesting = 0;
  readonly names: readonly string[];

  constructor(names: readonly string[]) {
    this.names = names;
  }

  visit(node: ASTNode, locals: ReadonlySet<string>, depth: number, optional: boolean): void {
    switch (node.op) {
      case 'value':
        if (node.args instanceof Uint8Array) this.refuse(node, 'bytes have no place here');
        return;
      case 'id':
      case '.':
      case '[]':
        this.access(node, locals, depth, optional);
        return;
      case 'call':
        this.call(node, node.args[0], node.args[1], locals, depth);
        return;
      case 'rcall':
        this.method(node, node.args[0], node.args[1], node.args[2], locals, depth);
        return;
      case 'list':
        for (const item of node.args) this.visit(item, locals, depth, false);
        return;
      case 'map':
        for (const [key, value] of node.args) {
          this.visit(key, locals, depth, false);
          this.visit(value, locals, depth, false);
        }
        return;
      case '!_':
      case '-_':
        this.visit(node.args, locals, depth, false);
        return;
      case '.?':
      case '[?]':
        this.refuse(node, 'optional access has no place here', 'use has(...)');
        return;
      default:
        for (const operand of node.args) this.visit(operand, locals, depth, false);
    }
  }

  private access(node: ASTNode, locals: ReadonlySet<string>, depth: number, optional: boolean): void {
    const chain = chainOf(node);
    if (chain === null) {
      if (node.op === '.') this.visit(node.args[0], locals, depth, false);
      if (node.op === '[]') for (const operand of node.args) this.visit(operand, locals, depth, false);
      return;
    }
    const root = chain.path[0] ?? '';
    if (locals.has(root)) return;
    if (!this.names.includes(root)) {
      const near = nearestName(root, this.names);
      const allowed = `this place may read ${this.names.join(', ')}`;
      this.mistakes.push({
        offset: chain.offset,
        message: root === 'claimed' ? '`claimed` is what the model says' : `unknown name "${root}"`,
        hint: near === undefined ? allowed : `did you mean "${near}"?`,
      });
      return;
    }
    this.paths.push({ ...chain, optional });
  }

  private call(
    node: ASTNode,
    name: string,
    args: readonly ASTNode[],
    locals: ReadonlySet<string>,
    depth: number,
  ): void {
    if (!FUNCTIONS.has(name)) this.unknownFunction(node, name, FUNCTIONS);
    for (const arg of args) this.visit(arg, locals, depth, name === 'has');
  }

  private method(
    node: ASTNode,
    name: string,
    receiver: ASTNode,
    args: readonly ASTNode[],
    locals: ReadonlySet<string>,
    depth: number,
  ): void {
    if (!METHODS.has(name)) this.unknownFunction(node, name, METHODS);
    this.visit(receiver, locals, depth, false);
    if (!COMPREHENSIONS.has(name)) {
      // A separator of '' makes as many values as there are characters: the square of it is too much.
      if (name === 'split' && depth >= NESTING_MAX) this.refuse(node, 'split() is nested too deeply');
      for (const arg of args) this.visit(arg, locals, depth, false);
      return;
    }
    this.nesting = Math.max(this.nesting, depth + 1);
    if (depth + 1 > NESTING_MAX) {
      this.refuse(node, `comprehensions stand deeper than ${NESTING_MAX} inside each other`);
      return;
    }
    const [variable, ...bodies] = args;
    const inner = new Set(locals);
    if (variable?.op === 'id') {
      if (this.names.includes(variable.args))
        this.refuse(variable, `"${variable.args}" is already a name here`);
      inner.add(variable.args);
    }
    for (const body of bodies) this.visit(body, inner, depth + 1, false);
  }

  private unknownFunction(node: ASTNode, name: string, known: ReadonlySet<string>): void {
    if (name === 'matches') {
      this.refuse(node, 'matches() is not available', 'bound the field with a pattern in its schema');
      return;
    }
    const near = nearestName(name, known);
    const hint = near === undefined ? `known are ${[...known].join(', ')}` : `did you mean "${near}"?`;
    this.refuse(node, `unknown function "${name}"`, hint);
  }

  private refuse(node: ASTNode, message: string, hint?: string): void {
    this.mistakes.push({ offset: node.start, message, ...(hint === undefined ? {} : { hint }) });
  }
}

/** The chain when every step of it is static (`.name` or `['name']`) down to a name; otherwise null. */
function chainOf(node: ASTNode): { path: string[]; offset: number } | null {
  if (node.op === 'id') return { path: [node.args], offset: node.start };
  let step: string;
  if (node.op === '.') step = node.args[1];
  else if (node.op === '[]' && node.args[1].op === 'value' && typeof node.args[1].args === 'string') {
    step = node.args[1].args;
  } else return null;
  const chain = chainOf(node.args[0]);
  if (chain === null) return null;
  chain.path.push(step);
  return chain;
}

function readsOf(paths: readonly MemberPath[]): Reads {
  const root: Reads = new Map();
  for (const { path } of paths) {
    let at: Reads = root;
    for (let i = 0; i < path.length; i++) {
      const step = path[i]!;
      const last = i === path.length - 1;
      const next = at.get(step);
      if (next === null) break;
      if (last) at.set(step, null);
      else {
        const inner: Reads = next ?? new Map();
        at.set(step, inner);
        at = inner;
      }
    }
  }
  return root;
}
