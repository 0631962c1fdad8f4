// Builds the kernel filter of a sandboxed process: no other process, and no memory that the limits do not count.

/** Where bubblewrap reads the filter from. */
export const FILTER_FD = 3;

interface Machine {
  readonly audit: number;
  readonly clone: number;
  readonly mmap: number;
  /** Refused with EPERM: fork, vfork, and memory shared outside of the counted kinds. */
  readonly refused: readonly number[];
}

/** System call numbers of the kernel, by Node's name of the processor. */
const MACHINES: Readonly<Record<string, Machine>> = {
  // fork, vfork, memfd_create, shmget
  x64: { audit: 0xc000003e, clone: 56, mmap: 9, refused: [57, 58, 319, 29] },
  // memfd_create, shmget
  arm64: { audit: 0xc00000b7, clone: 220, mmap: 222, refused: [279, 194] },
};
/** The same number on every processor. */
const CLONE3 = 435;
/** From here on numbers belong to the second ABI of x64, which would pass by the list. */
const X32 = 0x40000000;

const LOAD = 0x20;
const EQUAL = 0x15;
const AT_LEAST = 0x35;
const ANY_BIT = 0x45;
const RETURN = 0x06;
const ALLOW = 0x7fff0000;
const EPERM = 0x00050001;
/** Makes libraries fall back to clone, whose flags a filter can read. */
const ENOSYS = 0x00050026;
const NUMBER_AT = 0;
const ARCH_AT = 4;
const argumentAt = (index: number): number => 16 + index * 8;
const CLONE_THREAD = 0x10000;
const MAP_SHARED = 0x01;
const MAP_ANONYMOUS = 0x20;

type Step = readonly [code: number, whenTrue: number, whenFalse: number, value: number];

/** The filter for this processor, for `bwrap --seccomp`; null where its numbers are not known. */
export function oneProcessFilter(arch: string = process.arch): Buffer | null {
  const machine = MACHINES[arch];
  return machine === undefined ? null : encode(stepsOf(machine));
}

function stepsOf({ audit, clone, mmap, refused }: Machine): Step[] {
  const refuse: Step = [RETURN, 0, 0, EPERM];
  const steps: Step[] = [
    [LOAD, 0, 0, ARCH_AT],
    [EQUAL, 1, 0, audit],
    refuse,
    [LOAD, 0, 0, NUMBER_AT],
    [AT_LEAST, 0, 1, X32],
    refuse,
    [EQUAL, 0, 1, CLONE3],
    [RETURN, 0, 0, ENOSYS],
  ];
  for (const number of refused) steps.push([EQUAL, 0, 1, number], refuse);
  steps.push(
    [EQUAL, 0, 4, clone],
    [LOAD, 0, 0, argumentAt(0)],
    [ANY_BIT, 1, 0, CLONE_THREAD],
    refuse,
    [RETURN, 0, 0, ALLOW],
    [EQUAL, 0, 4, mmap],
    [LOAD, 0, 0, argumentAt(3)],
    [ANY_BIT, 0, 2, MAP_SHARED],
    [ANY_BIT, 0, 1, MAP_ANONYMOUS],
    refuse,
    [RETURN, 0, 0, ALLOW],
  );
  return steps;
}

function encode(steps: readonly Step[]): Buffer {
  const bytes = Buffer.alloc(steps.length * 8);
  steps.forEach(([code, whenTrue, whenFalse, value], index) => {
    bytes.writeUInt16LE(code, index * 8);
    bytes.writeUInt8(whenTrue, index * 8 + 2);
    bytes.writeUInt8(whenFalse, index * 8 + 3);
    bytes.writeUInt32LE(value, index * 8 + 4);
  });
  return bytes;
}
