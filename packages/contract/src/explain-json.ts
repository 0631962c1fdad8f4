// The slow strict JSON reader: says what is wrong in a text and where. It builds no value.

/** `message` never quotes a value; `pointer` (RFC 6901) names the place where there is one. */
export interface JsonMistake {
  readonly message: string;
  readonly pointer?: string;
}

/** First mistake of a JSON text under the strict rules of `parseStrict`, or null when there is none. */
export function explainJson(
  source: string,
  depth: number,
  forbidden: ReadonlySet<string>,
): JsonMistake | null {
  const reader = new Reader(source, depth, forbidden);
  try {
    reader.document();
    return null;
  } catch (error) {
    if (error instanceof Mistake) return error.found;
    throw error;
  }
}

class Mistake extends Error {
  readonly found: JsonMistake;
  constructor(found: JsonMistake) {
    super(found.message);
    this.found = found;
  }
}

const NUMBER = /-?(?:0|[1-9][0-9]*)(?:\.[0-9]+)?(?:[eE][+-]?[0-9]+)?/y;
const SPACE = /[ \t\n\r]*/y;

class Reader {
  readonly #source: string;
  readonly #depth: number;
  readonly #forbidden: ReadonlySet<string>;
  readonly #path: (string | number)[] = [];
  #at = 0;

  constructor(source: string, depth: number, forbidden: ReadonlySet<string>) {
    this.#source = source;
    this.#depth = depth;
    this.#forbidden = forbidden;
  }

  document(): void {
    this.#space();
    this.#value();
    this.#space();
    if (this.#at < this.#source.length) this.#unexpected('the end');
  }

  #value(): void {
    const first = this.#source[this.#at];
    if (first === '{') this.#object();
    else if (first === '[') this.#list();
    else if (first === '"') this.#string();
    else if (first === '-' || (first !== undefined && first >= '0' && first <= '9')) this.#number();
    else if (!['true', 'false', 'null'].some((word) => this.#take(word))) this.#unexpected('a value');
  }

  #object(): void {
    this.#enter();
    const seen = new Set<string>();
    for (let first = true; ; first = false) {
      this.#space();
      if (first && this.#take('}')) return;
      if (this.#source[this.#at] !== '"') this.#unexpected('a key in double quotes');
      const key = this.#string();
      this.#path.push(key);
      if (seen.has(key)) this.#refuse('expected each key once, got it twice');
      if (this.#forbidden.has(key)) this.#refuse(`the key ${key} is not allowed anywhere`);
      seen.add(key);
      this.#space();
      if (!this.#take(':')) this.#unexpected("':'");
      this.#space();
      this.#value();
      this.#path.pop();
      this.#space();
      if (this.#take('}')) return;
      if (!this.#take(',')) this.#unexpected("',' or '}'");
    }
  }

  #list(): void {
    this.#enter();
    for (let index = 0; ; index++) {
      this.#space();
      if (index === 0 && this.#take(']')) return;
      this.#path.push(index);
      this.#value();
      this.#path.pop();
      this.#space();
      if (this.#take(']')) return;
      if (!this.#take(',')) this.#unexpected("',' or ']'");
    }
  }

  /** Steps into a container. INVARIANT: recursion is bounded by the limit, never by the text. */
  #enter(): void {
    this.#at++;
    if (this.#path.length >= this.#depth) this.#refuse(`expected at most ${this.#depth} levels of nesting`);
  }

  #string(): string {
    const start = this.#at;
    for (let i = start + 1; i < this.#source.length; i++) {
      const unit = this.#source[i];
      if (unit === '\\') i++;
      else if (unit === '"') {
        this.#at = i + 1;
        return this.#text(this.#source.slice(start, i + 1));
      }
    }
    this.#at = this.#source.length;
    return this.#unexpected('the end of a string');
  }

  #text(literal: string): string {
    let text: string;
    try {
      text = JSON.parse(literal) as string;
    } catch {
      return this.#refuse('expected a string without control characters and with known escapes');
    }
    if (!text.isWellFormed()) this.#refuse('expected Unicode text, got a lone surrogate');
    return text;
  }

  #number(): void {
    NUMBER.lastIndex = this.#at;
    const literal = NUMBER.exec(this.#source)?.[0] ?? this.#unexpected('a digit');
    this.#at += literal.length;
    const mistake = explainNumber(literal);
    if (mistake !== null) this.#refuse(mistake);
  }

  #space(): void {
    SPACE.lastIndex = this.#at;
    SPACE.exec(this.#source);
    this.#at = SPACE.lastIndex;
  }

  #take(word: string): boolean {
    if (!this.#source.startsWith(word, this.#at)) return false;
    this.#at += word.length;
    return true;
  }

  #unexpected(wanted: string): never {
    const end = this.#at >= this.#source.length;
    return this.#refuse(`expected ${wanted}, got ${end ? 'the end of the text' : 'another character'}`);
  }

  #refuse(message: string): never {
    const pointer = this.#path.map((step) => `/${escapeStep(String(step))}`).join('');
    throw new Mistake({ message: `${message} (at character ${this.#at})`, pointer });
  }
}

function escapeStep(step: string): string {
  return step.replaceAll('~', '~0').replaceAll('/', '~1').toWellFormed();
}

/** Why a number would not survive decoding as it was written, or null. */
function explainNumber(literal: string): string | null {
  const value = Number(literal);
  if (Math.abs(value) > Number.MAX_SAFE_INTEGER) return 'expected a number within ±(2^53-1)';
  // Digits that count: without sign, point, exponent and the zeros at either end.
  const digits = literal
    .replace(/[eE].*$/, '')
    .replace(/[-.]/g, '')
    .replace(/^0+/, '')
    .replace(/0+$/, '');
  if (value === 0 && digits !== '') return 'expected a number that is not rounded to 0';
  if (digits.length > 17) return 'expected a number of at most 17 significant digits';
  return null;
}
