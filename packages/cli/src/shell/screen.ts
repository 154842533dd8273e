// A terminal that somebody types at while others speak: what they say goes above the line being typed, which stays.

import { clearScreenDown, cursorTo, type Interface, moveCursor } from 'node:readline';
import { Writable } from 'node:stream';
import type { Sink, World } from '../world.ts';

export class Screen {
  readonly #terminal: Sink;
  #typing: Interface | undefined;

  constructor(terminal: Sink) {
    this.#terminal = terminal;
  }

  /** Somebody types there from now on; undefined: nobody does. */
  set typing(line: Interface | undefined) {
    this.#typing = line;
  }

  /** The world, with standard output and standard error above the line where they are that terminal. */
  over(world: World): World {
    return { ...world, stdout: this.#above(world.stdout), stderr: this.#above(world.stderr) };
  }

  #above(sink: Sink): Sink {
    if (!sink.isTTY) return sink;
    const above = new Writable({
      write: (chunk: Buffer, _, done) => this.#aside(() => sink.write(chunk, (error) => done(error))),
    });
    return Object.defineProperties(above as Sink, {
      isTTY: { value: true },
      columns: { get: () => sink.columns },
    });
  }

  #aside(write: () => void): void {
    const line = this.#typing;
    if (line === undefined) {
      write();
      return;
    }
    const { rows } = line.getCursorPos();
    cursorTo(this.#terminal, 0);
    moveCursor(this.#terminal, 0, -rows);
    clearScreenDown(this.#terminal);
    write();
    // Readline would begin as many rows up as it remembers, which are none now, and after a paste not those of getCursorPos().
    Object.assign(line, { prevRows: 0 });
    line.prompt(true);
  }
}
