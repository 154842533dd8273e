// What the tests of running a broker share: a logger that remembers.

import type { LogEvent, LogFields, Logger } from '../../src/index.ts';

export interface Told {
  readonly level: string;
  readonly event: LogEvent;
  readonly fields: LogFields;
}

export interface Memory extends Logger {
  readonly told: Told[];
  of(event: LogEvent): LogFields[];
  /** Everything, as one text. */
  readonly text: string;
}

export function remembering(): Memory {
  const told: Told[] = [];
  return {
    told,
    log: (level, event, fields) => void told.push({ level, event, fields }),
    of: (event) => told.filter((one) => one.event === event).map(({ fields }) => fields),
    get text() {
      return JSON.stringify(told);
    },
  };
}
