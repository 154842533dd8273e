// What is wrong in a file that people write: the users, the configuration. Every problem with its line, all at once.

export interface Problem {
  /** Counted from 1; undefined where it is about the file as a whole. */
  readonly line: number | undefined;
  readonly sentence: string;
}

/** The message holds a line `path:line: sentence` for each problem, and never a secret. */
export class FileError extends Error {
  override readonly name = 'FileError';
  readonly path: string;
  readonly problems: readonly Problem[];
  constructor(path: string, problems: readonly Problem[], options?: { cause?: unknown }) {
    const lines = problems.map(({ line, sentence }) => `${path}:${line === undefined ? '' : `${line}:`} ${sentence}`);
    super(lines.join('\n'), options);
    this.path = path;
    this.problems = problems;
  }
}

/** Why a file could not be read or written, in words. */
export function reasonOf(error: unknown): string {
  const code = error instanceof Error && 'code' in error ? error.code : undefined;
  switch (code) {
    case 'ENOENT':
      return 'there is no such file';
    case 'EACCES':
    case 'EPERM':
      return 'permission denied';
    case 'EISDIR':
      return 'it is a directory';
    default:
      return error instanceof Error ? error.message : String(error);
  }
}
