// STOMP 1.0, 1.1 and 1.2 as data: whatever differs between them on the wire is a
// column here, so that no other file compares version strings.

import { ProtocolError, quote } from './errors.ts';

export type Version = '1.0' | '1.1' | '1.2';

/** Ascending, as `accept-version` lists them (N-05). */
export const VERSIONS: readonly Version[] = ['1.0', '1.1', '1.2'];

/** What a codec must know of a version. */
export interface Grammar {
  readonly version: Version;
  /** CR LF ends a line, and a CR anywhere else is an error (C-03, C-05). Otherwise CR is data (C-02). */
  readonly crlf: boolean;
  /** `\n`, `\c` and `\\` stand for LF, colon and backslash (C-38); 1.0 has no escapes (C-37). */
  readonly escapes: boolean;
  /** `\r` stands for CR (C-39); undefined in 1.1 (C-40). */
  readonly escapesCr: boolean;
  /** NACK and STOMP exist (C-12). */
  readonly nack: boolean;
  /** Blanks before a value are padding (C-29). */
  readonly padded: boolean;
}

export const GRAMMARS: Readonly<Record<Version, Grammar>> = {
  '1.0': { version: '1.0', crlf: false, escapes: false, escapesCr: false, nack: false, padded: true },
  '1.1': { version: '1.1', crlf: false, escapes: true, escapesCr: false, nack: true, padded: false },
  '1.2': { version: '1.2', crlf: true, escapes: true, escapesCr: true, nack: true, padded: false },
};

/**
 * The highest version both know (N-06), or undefined. `accept` is the `accept-version` header; absent means 1.0 only
 * (N-05). Blanks around the items are forgiven unless `strict` (N-09). What is not `major.minor` matches nothing.
 */
export function negotiate(
  accept: string | undefined,
  supported: readonly Version[] = VERSIONS,
  options: { strict?: boolean } = {},
): Version | undefined {
  const offered = (accept ?? '1.0')
    .split(',')
    .map((item) => (options.strict ? item : item.replace(/^[ \t]+|[ \t]+$/g, '')));
  return VERSIONS.filter((version) => supported.includes(version) && offered.includes(version)).at(-1);
}

/** What a server chose, checked against what was offered (N-07, N-08). No `version` header means 1.0. */
export function chosen(version: string | undefined, offered: readonly Version[]): Version {
  const found = offered.find((candidate) => candidate === (version ?? '1.0'));
  if (found === undefined) {
    throw new ProtocolError(
      'version-mismatch',
      `the server chose STOMP ${quote(version ?? '1.0')}, which was not offered (${offered.join(', ')})`,
      { rule: 'N-08' },
    );
  }
  return found;
}
