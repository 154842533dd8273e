// Somebody at a terminal: a line at a time, with history, completion, and Ctrl-C for what takes too long.

import { createInterface, type Interface } from 'node:readline';
import type { House } from '../house.ts';
import { Interrupted } from '../interrupt.ts';
import type { World } from '../world.ts';
import { execute } from './commands.ts';
import { complete } from './completion.ts';
import { History, historyPath } from './history.ts';
import type { Screen } from './screen.ts';
import type { Session } from './session.ts';

const MAX_TYPED_AHEAD = 1_000;

export interface Prompting {
  readonly session: Session;
  readonly screen: Screen;
  /** The terminal itself. */
  readonly world: World;
}

/** Until quit, Ctrl-D, Ctrl-C at an empty line, or told to end from outside. What fails is told, and the next line asked for. */
export async function prompt({ session, screen, world }: Prompting): Promise<void> {
  const { house } = session;
  const history = await openHistory(house, world);
  const typed = createInterface({
    input: world.stdin,
    output: world.stdout,
    terminal: true,
    history: [...history.lines].reverse(),
    historySize: 1_000,
    removeHistoryDuplicates: true,
    completer: (line: string) => complete(line, session),
  });
  const lines = new Lines(typed, house.stop);
  try {
    for (;;) {
      typed.setPrompt(`${house.out.bold(session.hasTransaction ? 'stompbox (transaction)' : 'stompbox')}> `);
      screen.typing = typed;
      if (!lines.hasMore) typed.prompt();
      const line = await lines.next();
      screen.typing = undefined;
      if (line === undefined) return;
      await history.add(line);
      const called = new AbortController();
      lines.onInterrupt = () => called.abort(new Interrupted('SIGINT'));
      try {
        const signal = AbortSignal.any([called.signal, house.stop]);
        if ((await execute(line, session, { signal, depth: 0 })) === 'quit') return;
      } catch (error) {
        if (error instanceof Interrupted) house.out.warn('called off; what was on its way may have arrived');
        else house.tell(error);
      } finally {
        lines.onInterrupt = undefined;
      }
    }
  } finally {
    screen.typing = undefined;
    typed.close();
    await history.close();
  }
}

/** A shell without a history is better than none. */
async function openHistory(house: House, world: World): Promise<History> {
  try {
    return await History.open(historyPath(world));
  } catch (error) {
    house.tell(error);
    return await History.open(undefined);
  }
}

/** The lines somebody types, also ahead. */
class Lines {
  /** Ctrl-C while a command runs. */
  onInterrupt: (() => void) | undefined;
  readonly #typed: Interface;
  readonly #ahead: string[] = [];
  #isOver = false;
  #waiting: ((line: string | undefined) => void) | undefined;

  constructor(typed: Interface, stop: AbortSignal) {
    this.#typed = typed;
    typed.on('line', (line) => this.#heard(line));
    typed.on('close', () => this.#end());
    typed.on('SIGINT', () => this.#interrupted());
    if (stop.aborted) this.#end();
    else stop.addEventListener('abort', () => this.#end(), { once: true });
  }

  get hasMore(): boolean {
    return this.#ahead.length > 0;
  }

  /** Undefined when there are no more. */
  next(): Promise<string | undefined> {
    const line = this.#ahead.shift();
    if (!this.#isOver && this.#ahead.length < MAX_TYPED_AHEAD) this.#typed.resume();
    if (line !== undefined || this.#isOver) return Promise.resolve(line);
    return new Promise((resolve) => {
      this.#waiting = resolve;
    });
  }

  #heard(line: string): void {
    if (this.#waiting === undefined) {
      this.#ahead.push(line);
      if (this.#ahead.length >= MAX_TYPED_AHEAD) this.#typed.pause();
      return;
    }
    this.#answer(line);
  }

  #end(): void {
    this.#isOver = true;
    this.#ahead.length = 0;
    this.#answer(undefined);
  }

  #answer(line: string | undefined): void {
    const answer = this.#waiting;
    this.#waiting = undefined;
    answer?.(line);
  }

  // A running command is called off, a line that was begun is emptied; there being neither, or at the second time, it is the end.
  #interrupted(): void {
    const callOff = this.onInterrupt;
    if (this.#waiting === undefined && callOff !== undefined) {
      this.#ahead.length = 0;
      this.onInterrupt = undefined;
      callOff();
    } else if (this.#waiting !== undefined && this.#typed.line !== '') {
      this.#typed.write(null, { ctrl: true, name: 'e' });
      this.#typed.write(null, { ctrl: true, name: 'u' });
    } else this.#typed.close();
  }
}
