// A secret from the one at the terminal, who sees nothing of it; or a line from a pipe.

import { Interrupted } from './interrupt.ts';
import type { World } from './world.ts';

const MAX_CHARS = 4_096;
const CTRL_C = '\u0003';
const CTRL_D = '\u0004';
const CTRL_U = '\u0015';
const BACKSPACES = '\b\u007f';

/** Somebody sits there who can be asked: the question goes to standard error, so that output stays clean. */
export function canAsk({ stdin, stderr }: World): boolean {
  return stdin.isTTY === true && stderr.isTTY === true && stdin.setRawMode !== undefined;
}

/** Asks without echo. Rejects with Interrupted at Ctrl-C or Ctrl-D, or the signal's reason. */
export function askSecret(question: string, { stdin, stderr, interrupted }: World): Promise<string> {
  return new Promise((resolve, reject) => {
    let text = '';
    const finish = (settle: () => void): void => {
      stdin.off('data', read);
      interrupted.removeEventListener('abort', stop);
      stdin.setRawMode?.(false);
      stdin.pause();
      stderr.write('\n');
      settle();
    };
    const stop = (): void => finish(() => reject(interrupted.reason));
    const read = (chunk: Buffer | string): void => {
      for (const character of chunk.toString()) {
        if (character === '\r' || character === '\n') {
          finish(() => resolve(text));
          return;
        }
        if (character === CTRL_C || character === CTRL_D) {
          finish(() => reject(new Interrupted('SIGINT')));
          return;
        }
        if (character === CTRL_U) text = '';
        else if (BACKSPACES.includes(character)) text = [...text].slice(0, -1).join('');
        else if (text.length < MAX_CHARS) text += character;
      }
    };
    if (interrupted.aborted) return reject(interrupted.reason);
    stdin.setRawMode?.(true); // before the question: whoever types at once is not echoed either
    stderr.write(question);
    interrupted.addEventListener('abort', stop, { once: true });
    stdin.on('data', read);
    stdin.resume();
  });
}

/** The first line of a text, without its end: what editors and `echo` put behind a secret is none of it. */
export function firstLine(text: string): string {
  return text.split(/\r?\n/, 1)[0] ?? '';
}
