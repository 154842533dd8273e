// Errors -> the number the program ends with. docs/cli.md and every --help print this table.

import { FileError, StoreError } from '@stompbox/broker';
import {
  AuthenticationError,
  BrokerError,
  ConnectFailed,
  ConnectionLost,
  isAuthenticationFailure,
  OutboxError,
  ProtocolError,
  RequestRefused,
  SubscriptionRefused,
  TimeoutError,
  UnsupportedByBroker,
  UsageError,
} from '@stompbox/client';
import { TransportError } from '@stompbox/transport';
import { NotLetIn } from './conformance/meet.ts';
import { exitCodeOfSignal, Interrupted } from './interrupt.ts';

export const EXIT = {
  done: 0,
  refused: 1,
  usage: 2,
  connection: 3,
  timeout: 4,
  login: 5,
  system: 6,
  bug: 70,
  interrupted: 130,
  terminated: 143,
} as const;

export type ExitCode = (typeof EXIT)[keyof typeof EXIT];

export const EXIT_CODES: readonly (readonly [code: ExitCode, meaning: string])[] = [
  [EXIT.done, 'done'],
  [EXIT.refused, 'refused: by the broker or by whoever was asked; or only a part could be done'],
  [EXIT.usage, 'wrong usage: an option, an argument or a configuration makes no sense, or this broker cannot do it'],
  [EXIT.connection, 'no connection: it could not be made, or was lost'],
  [EXIT.timeout, 'timed out'],
  [EXIT.login, 'the login was refused'],
  [EXIT.system, 'this machine refused: a file, a port or a program cannot be used'],
  [EXIT.bug, 'a fault of stompbox itself'],
  [EXIT.interrupted, 'cut short by Ctrl-C'],
  [EXIT.terminated, 'cut short by SIGTERM'],
];

/** You asked for something that makes no sense. The message says what to write instead. */
export class WrongUsage extends Error {
  override readonly name = 'WrongUsage';
}

/** This machine refused: a file, a port, a program. */
export class SystemFailure extends Error {
  override readonly name = 'SystemFailure';
}

/** Only a part could be done; the message says how much. `cause` is what stopped it, where something did. */
export class PartlyDone extends Error {
  override readonly name = 'PartlyDone';
}

/** Nobody reads what we print any more. */
export class NobodyReads extends Error {
  override readonly name = 'NobodyReads';
}

const MAX_CAUSES = 8;

export function exitCodeOf(error: unknown): number {
  if (error instanceof Interrupted) return exitCodeOfSignal(error.signal);
  if (error instanceof NobodyReads) return EXIT.done;
  if (error instanceof PartlyDone) return error.cause === undefined ? EXIT.refused : exitCodeOf(error.cause);
  if (error instanceof AuthenticationError) return EXIT.login;
  if (error instanceof NotLetIn) return error.isRefusal ? EXIT.login : EXIT.connection;
  if (error instanceof ConnectFailed && isAuthenticationFailure(error)) return EXIT.login;
  if (error instanceof TimeoutError) return error.cause instanceof Error ? EXIT.connection : EXIT.timeout;
  if (error instanceof WrongUsage || error instanceof UsageError || error instanceof UnsupportedByBroker) {
    return EXIT.usage;
  }
  if (error instanceof FileError) return EXIT.usage;
  if (error instanceof BrokerError || error instanceof SubscriptionRefused || error instanceof RequestRefused) {
    return EXIT.refused;
  }
  if (error instanceof TransportError) return error.code === 'bad-url' ? EXIT.usage : EXIT.connection;
  if (error instanceof ConnectionLost || error instanceof ConnectFailed) {
    return saidByBroker(error) ? EXIT.refused : EXIT.connection;
  }
  if (error instanceof OutboxError || error instanceof ProtocolError) return EXIT.connection;
  if (error instanceof SystemFailure || error instanceof StoreError || isOfTheSystem(error)) return EXIT.system;
  return EXIT.bug;
}

function saidByBroker(error: Error): boolean {
  let one: unknown = error;
  for (let depth = 0; depth < MAX_CAUSES && one instanceof Error; depth++) {
    if (one instanceof BrokerError) return true;
    one = one.cause;
  }
  return false;
}

/** As Node's file system and process functions throw them. */
function isOfTheSystem(error: unknown): error is NodeJS.ErrnoException {
  return error instanceof Error && 'syscall' in error && 'code' in error;
}

/** What to do about it, where more can be said than the error says. */
export function hintFor(error: unknown): string | undefined {
  const words = error instanceof Error ? error.message : '';
  if (/virtual host/i.test(words)) return "RabbitMQ's first virtual host is called /: try --host /";
  switch (exitCodeOf(error)) {
    case EXIT.login:
      return 'give a login with --login, and its passcode with STOMPBOX_PASSCODE, --passcode-file or at the prompt';
    case EXIT.connection:
      return error instanceof ConnectFailed
        ? 'is the broker there? "stompbox broker" starts one; --url or STOMPBOX_URL names another'
        : undefined;
    default:
      return undefined;
  }
}
