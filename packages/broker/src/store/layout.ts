// The data directory and its version.
//
//   data.mdb     everything, in LMDB; see docs/storage.md for the tables
//   lock.mdb     LMDB's own bookkeeping of readers
//   lock-*       the socket of the process that has it open; see lock.ts
//
// The version stands in the table `meta`, so an upgrade and its new version are one
// transaction: a crash in the middle leaves the old ones.

import type { Database, RootDatabase } from 'lmdb';
import { StoreError } from './store.ts';

export type Table = Database<Buffer, Buffer>;
export type Root = RootDatabase<Buffer, Buffer>;

/** From the version before; runs inside a transaction. `open` makes a table where there is none. */
export type Upgrade = (open: (name: string) => Table) => void;

export interface Layout {
  readonly version: number;
  /** By the version they lead to. None for 1: it was the first. */
  readonly upgrades: ReadonlyMap<number, Upgrade>;
}

export const LAYOUT: Layout = { version: 1, upgrades: new Map() };

const VERSION = Buffer.from('version');

export function openTable(root: Root, name: string): Table {
  return root.openDB<Buffer, Buffer>({ name, encoding: 'binary', keyEncoding: 'binary' });
}

/** Makes the tables of an empty directory, upgrades older ones, refuses newer ones. */
export function bringUpToDate(root: Root, dir: string, layout: Layout): void {
  const meta = openTable(root, 'meta');
  const found = versionIn(meta, dir);
  if (found === layout.version) return;
  if (found !== undefined && found > layout.version)
    throw new StoreError(
      'newer',
      `${dir} was written by a later Stompbox (layout ${found}; this one knows ${layout.version}): use that one, or another directory`,
    );
  const steps: Upgrade[] = [];
  for (let version = (found ?? layout.version) + 1; version <= layout.version; version++) {
    const step = layout.upgrades.get(version);
    if (step === undefined)
      throw new StoreError('failed', `${dir} has layout ${found}, and no way leads from there to ${version}`);
    steps.push(step);
  }
  root.transactionSync(() => {
    for (const step of steps) step((name) => openTable(root, name));
    meta.putSync(VERSION, Buffer.from(String(layout.version)));
  });
}

function versionIn(meta: Table, dir: string): number | undefined {
  const text = meta.getBinary(VERSION)?.toString();
  if (text === undefined) return undefined;
  if (!/^\d{1,6}$/.test(text))
    throw new StoreError(
      'damaged',
      `${dir} is damaged (its version is not a number); nothing was changed: restore it from a backup`,
    );
  return Number(text);
}
