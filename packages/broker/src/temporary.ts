// Names of temporary queues, as the engine knows them: NUL cannot be in a header, so no
// client can name the queue of another connection.

export function temporaryName(connection: string, name: string): string {
  return `\0${connection}/${name}`;
}

/** The connection whose queue it is. */
export function ownerOf(queue: string): string {
  return queue.slice(1, queue.indexOf('/'));
}

export function isTemporary(queue: string): boolean {
  return queue.startsWith('\0');
}
