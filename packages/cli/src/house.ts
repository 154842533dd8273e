// What every verb is given, and the frame it runs in: errors become a sentence and an exit code, here and nowhere else.

import type { Command } from 'commander';
import { EXIT, EXIT_CODES, exitCodeOf, hintFor, NobodyReads } from './exit-codes.ts';
import { Interrupted } from './interrupt.ts';
import { type Terminal, terminal } from './terminal.ts';
import type { World } from './world.ts';

/** Adds its verb to the program. */
export type Verb = (program: Command, house: House) => void;

/** What somebody would type, and what it does. */
export type Example = readonly [line: string, does: string];

export class House {
  readonly world: World;
  readonly out: Terminal;
  /** What the program will end with. */
  exitCode: number = EXIT.done;

  constructor(world: World) {
    this.world = world;
    this.out = terminal(world);
  }

  /** Fires when the work is to end: interrupted, or nobody reads what it prints. */
  get stop(): AbortSignal {
    return AbortSignal.any([this.world.interrupted, this.out.gone]);
  }

  /**
   * A verb as commander runs it: its words, its flags. `work` answers an exit code, or nothing for 0; what it throws is told
   * and becomes one.
   */
  run<Flags extends object>(
    work: (words: readonly string[], flags: Flags) => Promise<number | undefined>,
  ): (this: Command) => Promise<void> {
    const house = this;
    return async function run(this: Command): Promise<void> {
      try {
        house.exitCode = (await work(this.args, this.opts<Flags>())) ?? EXIT.done;
      } catch (error) {
        house.exitCode = exitCodeOf(error);
        house.tell(error);
      }
    };
  }

  /** Says what went wrong, and what to do. */
  tell(error: unknown): void {
    if (error instanceof NobodyReads || error instanceof Interrupted) return;
    if (exitCodeOf(error) === EXIT.bug) {
      this.out.warn(`this is a fault of stompbox itself: ${error instanceof Error ? error.message : String(error)}`);
      if (error instanceof Error && error.stack !== undefined) this.out.complain(error.stack);
      return;
    }
    this.out.warn(error instanceof Error ? error.message : String(error));
    const hint = hintFor(error);
    if (hint !== undefined) this.out.complain(`  ${hint}`);
  }
}

const examplesOf = new WeakMap<Command, readonly Example[]>();

/** Gives a verb its examples; `--help` shows them. */
export function examples(command: Command, list: readonly Example[]): Command {
  examplesOf.set(command, list);
  const lines = list.map(([line, does]) => `  ${line}\n      ${does}`);
  return command.addHelpText('after', `\nExamples:\n${lines.join('\n')}`);
}

export function examplesFor(command: Command): readonly Example[] {
  return examplesOf.get(command) ?? [];
}

export function exitCodeHelp(): string {
  return `\nExit codes:\n${EXIT_CODES.map(([code, meaning]) => `  ${String(code).padEnd(5)}${meaning}`).join('\n')}`;
}
