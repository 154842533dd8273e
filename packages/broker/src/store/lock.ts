// One process at a time in a directory, and no lock left behind by one that was killed.
//
// Whoever wants the directory listens on a Unix socket in it, `lock-<pid>-<random>`,
// and knocks on the others. The kernel answers for the dead: a socket whose process is
// gone refuses, whatever its pid means today. A pid in a file could not tell.
//
//   listen on mine  ->  knock on all others  ->  somebody there: withdraw, refused
//                                            ->  nobody: remove theirs; mine still there? it is ours
//
// Two that come at once both listen before they knock, so at least one hears the other.
// Someone may be between bind and listen when we knock, be taken for dead and lose its
// socket file; therefore whoever finds its own file gone begins anew.
//
// A named pipe does the same on Windows; there, the system keeps names exclusive.

import { randomBytes } from 'node:crypto';
import { closeSync, openSync, readdirSync, realpathSync, unlinkSync } from 'node:fs';
import { connect, createServer, type Server } from 'node:net';
import { join } from 'node:path';
import { StoreError } from './store.ts';

const MAX_SOCKET_PATH_BYTES = 100; // 104 on macOS and 108 on Linux, with the NUL
const NAME = /^lock-(\d+)-[0-9a-f]+$/;
const ATTEMPTS = 10;

export interface DirectoryLock {
  release(): Promise<void>;
}

/** Rejects with StoreError 'locked' when somebody else has it. */
export async function lockDirectory(dir: string): Promise<DirectoryLock> {
  if (process.platform === 'win32') return lockPipe(dir);
  const name = `lock-${process.pid}-${randomBytes(4).toString('hex')}`;
  const reach = reachable(dir);
  try {
    for (let attempt = 0; attempt < ATTEMPTS; attempt++) {
      const server = await listen(join(reach.dir, name));
      const remove = () => removeFile(join(dir, name));
      try {
        const others = readdirSync(dir).filter((file) => NAME.test(file) && file !== name);
        for (const other of others) await refuseIfHeld(dir, reach.dir, other);
        for (const other of others) removeFile(join(dir, other));
        if (readdirSync(dir).includes(name)) return { release: () => closeServer(server, remove) };
      } catch (error) {
        await closeServer(server, remove);
        throw error;
      }
      await closeServer(server, remove);
    }
    throw new StoreError('locked', `${dir} is being opened by several processes at once; try again`);
  } finally {
    reach.done();
  }
}

async function refuseIfHeld(dir: string, reach: string, file: string): Promise<void> {
  if (!(await isAlive(join(reach, file)))) return;
  const pid = Number(NAME.exec(file)?.[1]);
  const who = pid === process.pid ? 'this process' : `process ${pid}`;
  throw new StoreError('locked', `${dir} is in use by ${who}; a data directory serves one broker at a time`);
}

function isAlive(path: string): Promise<boolean> {
  return new Promise((resolve) => {
    const socket = connect(path);
    socket.on('connect', () => {
      socket.destroy();
      resolve(true);
    });
    // EAGAIN: its backlog is full, so there is somebody. Only a clear no is a no.
    socket.on('error', (error: NodeJS.ErrnoException) =>
      resolve(error.code !== 'ECONNREFUSED' && error.code !== 'ENOENT'),
    );
  });
}

function listen(path: string): Promise<Server> {
  return new Promise((resolve, reject) => {
    const server = createServer((socket) => socket.destroy());
    server.on('error', reject);
    // exclusive: a worker of node:cluster must not get its primary's socket
    server.listen({ path, exclusive: true }, () => resolve(server.unref()));
  });
}

/** Node removes the socket file itself, by the path that was listened on; `remove` is for when that path led through /proc. */
async function closeServer(server: Server, remove: () => void): Promise<void> {
  await new Promise<void>((resolve) => server.close(() => resolve()));
  remove();
}

function removeFile(path: string): void {
  try {
    unlinkSync(path);
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code !== 'ENOENT') throw error;
  }
}

/** Socket addresses are short. On Linux, an open directory has a short name, however long its path. */
function reachable(dir: string): { readonly dir: string; done(): void } {
  const longest = `/lock-${'9'.repeat(10)}-12345678`;
  if (Buffer.byteLength(dir + longest) <= MAX_SOCKET_PATH_BYTES) return { dir, done: () => {} };
  if (process.platform !== 'linux')
    throw new StoreError(
      'failed',
      `the path ${dir} is too long; here it may have ${MAX_SOCKET_PATH_BYTES - longest.length} bytes`,
    );
  const fd = openSync(dir, 'r');
  return { dir: `/proc/self/fd/${fd}`, done: () => closeSync(fd) };
}

async function lockPipe(dir: string): Promise<DirectoryLock> {
  const name = Buffer.from(realpathSync.native(dir).toLowerCase()).toString('base64url').slice(-200);
  try {
    const server = await listen(`\\\\.\\pipe\\stompbox-${name}`);
    return { release: () => closeServer(server, () => {}) };
  } catch (cause) {
    throw new StoreError('locked', `${dir} is in use; a data directory serves one broker at a time`, { cause });
  }
}
