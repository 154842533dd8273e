// What every real broker looks like to a test, and the life they all lead: a folder, ports that stay the same through
// a restart, processes that end with us.

import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { type Certificates, makeCertificates } from './certificates.ts';
import type { LeashedProcess } from './leash.ts';
import { freePorts } from './ports.ts';

/** Where a broker listens and who may enter: plain data, so it can be handed to another process as JSON. */
export interface PeerAddress {
  readonly name: string;
  readonly version: string;
  readonly urls: {
    readonly tcp: string;
    readonly tls: string;
    /** Undefined where the broker's installation has no WebSocket transport. */
    readonly ws?: string;
    /** A second TCP listener, where the broker has another implementation of it (ActiveMQ's stomp+nio). */
    readonly nio?: string;
  };
  readonly login: string;
  readonly passcode: string;
  /** The PEM of the authority that signed the broker's certificate, for `localhost` and `127.0.0.1`. */
  readonly ca: string;
}

/** A broker that runs until `stop()`, or until this process ends, however it ends. */
export interface Peer extends PeerAddress, AsyncDisposable {
  /** Ends the broker in an orderly way and starts it again: same ports, and what was durable is still there. */
  restart(): Promise<void>;
  /** Ends the broker at once and deletes its data. May be called twice. */
  stop(): Promise<void>;
}

/** The ground a broker stands on. */
export interface Ground {
  readonly folder: string;
  readonly certificates: Certificates;
  readonly ports: readonly number[];
}

/** A broker's processes, the one to be asked to end first. */
export interface Running {
  readonly version: string;
  readonly processes: readonly LeashedProcess[];
}

/** What differs from broker to broker. */
export interface Recipe {
  readonly name: string;
  readonly portCount: number;
  address(ports: readonly number[]): Omit<PeerAddress, 'name' | 'version' | 'ca'>;
  /** Writes the configuration into the folder; called once. */
  prepare(ground: Ground): Promise<void>;
  /** Resolves when the broker accepts connections; called again by every restart. */
  launch(ground: Ground): Promise<Running>;
}

/** Starts a broker by its recipe. */
export async function startPeer(recipe: Recipe): Promise<Peer> {
  const folder = await mkdtemp(join(tmpdir(), `stompbox-${recipe.name.toLowerCase()}-`));
  const remove = () => rm(folder, { recursive: true, force: true, maxRetries: 5 });
  try {
    const [certificates, ports] = await Promise.all([makeCertificates(folder), freePorts(recipe.portCount)]);
    const ground = { folder, certificates, ports };
    await recipe.prepare(ground);
    let running = await recipe.launch(ground);
    let stopped: Promise<void> | undefined;

    const stop = async () => {
      await Promise.all(running.processes.map((process) => process.kill()));
      await remove();
    };
    const peer: Peer = {
      ...recipe.address(ports),
      name: recipe.name,
      version: running.version,
      ca: certificates.ca,
      async restart() {
        for (const process of running.processes) await process.end();
        running = await recipe.launch(ground);
      },
      stop() {
        stopped ??= stop();
        return stopped;
      },
      [Symbol.asyncDispose]: () => peer.stop(),
    };
    return peer;
  } catch (cause) {
    await remove();
    throw cause;
  }
}
