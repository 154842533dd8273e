// RabbitMQ with STOMP over TCP and TLS and Web-STOMP, as a plain process.
//
// What one has to know: Debian's /usr/sbin/rabbitmq-server changes the user, so the script behind it is called. With
// RABBITMQ_ALLOW_INPUT that script becomes the virtual machine, so its process id is the broker's. A virtual machine
// that finds no epmd starts one that outlives it, so epmd is started first. CONNECT's `host` names a virtual host, and
// clients like to send the address they dialled there. Users and hosts come as a definitions file, which costs nothing,
// where each call of rabbitmqctl costs seconds.

import { createHash, randomBytes } from 'node:crypto';
import { mkdir, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { type LeashedProcess, leash } from './leash.ts';
import { type Ground, type Peer, type Recipe, type Running, startPeer } from './peer.ts';
import { type Skipped, which } from './programs.ts';

const START_DEADLINE_MS = 120_000;
const LOGIN = 'guest';
const PASSCODE = 'guest';
const VIRTUAL_HOSTS = ['/', '127.0.0.1', 'localhost'];

/** Starts a RabbitMQ of its own, with nothing but STOMP in it. Web-STOMP sends binary frames. */
export async function startRabbitMq(): Promise<Peer | Skipped> {
  const server = await which('/usr/lib/rabbitmq/bin/rabbitmq-server', 'rabbitmq-server');
  if (server === undefined) return { skipped: 'rabbitmq-server is not installed (apt-get install rabbitmq-server)' };
  const epmd = await which('epmd');
  if (epmd === undefined) return { skipped: 'epmd is not installed (apt-get install erlang-base)' };
  if ((await which('openssl')) === undefined) return { skipped: 'openssl is not installed (apt-get install openssl)' };
  return startPeer(recipe(server, epmd));
}

function recipe(server: string, epmd: string): Recipe {
  return {
    name: 'RabbitMQ',
    portCount: 5,
    address: (ports) => {
      const { tcp, tls, ws } = named(ports);
      return {
        urls: { tcp: `stomp://127.0.0.1:${tcp}`, tls: `stomp+ssl://localhost:${tls}`, ws: `ws://127.0.0.1:${ws}/ws` },
        login: LOGIN,
        passcode: PASSCODE,
      };
    },
    prepare,
    launch: (ground) => launch(server, epmd, ground),
  };
}

function named(ports: readonly number[]) {
  const [tcp, tls, ws, epmd, distribution] = ports;
  return { tcp, tls, ws, epmd, distribution };
}

async function prepare({ folder, certificates, ports }: Ground): Promise<void> {
  const { tcp, tls, ws } = named(ports);
  const config = [
    'listeners.tcp = none',
    `stomp.listeners.tcp.1 = 127.0.0.1:${tcp}`,
    `stomp.listeners.ssl.1 = 127.0.0.1:${tls}`,
    'web_stomp.tcp.ip = 127.0.0.1',
    `web_stomp.tcp.port = ${ws}`,
    'web_stomp.ws_frame = binary',
    `ssl_options.cacertfile = ${certificates.files.ca}`,
    `ssl_options.certfile = ${certificates.files.cert}`,
    `ssl_options.keyfile = ${certificates.files.key}`,
    'ssl_options.verify = verify_none',
    'ssl_options.fail_if_no_peer_cert = false',
    `load_definitions = ${join(folder, 'definitions.json')}`,
    'log.console = true',
    'log.console.level = info',
    'log.file = false',
    'vm_memory_high_watermark.absolute = 1GB',
    'disk_free_limit.absolute = 50MB',
  ];
  await Promise.all([
    writeFile(join(folder, 'rabbitmq.conf'), `${config.join('\n')}\n`),
    writeFile(join(folder, 'enabled_plugins'), '[rabbitmq_stomp,rabbitmq_web_stomp].\n'),
    writeFile(join(folder, 'definitions.json'), JSON.stringify(definitions())),
    writeFile(join(folder, 'env.conf'), ''), // keeps /etc/rabbitmq/rabbitmq-env.conf out
    mkdir(join(folder, 'mnesia')),
  ]);
}

function definitions(): object {
  const salt = randomBytes(4);
  const hash = createHash('sha256').update(salt).update(PASSCODE).digest();
  return {
    users: [
      {
        name: LOGIN,
        password_hash: Buffer.concat([salt, hash]).toString('base64'),
        hashing_algorithm: 'rabbit_password_hashing_sha256',
        tags: 'administrator',
      },
    ],
    vhosts: VIRTUAL_HOSTS.map((name) => ({ name })),
    permissions: VIRTUAL_HOSTS.map((vhost) => ({ user: LOGIN, vhost, configure: '.*', write: '.*', read: '.*' })),
  };
}

async function launch(server: string, epmd: string, { folder, ports }: Ground): Promise<Running> {
  const port = named(ports);
  const env = {
    PATH: process.env.PATH,
    LANG: 'C.UTF-8',
    HOME: folder, // for the Erlang cookie
    ERL_EPMD_PORT: `${port.epmd}`,
    ERL_EPMD_ADDRESS: '127.0.0.1',
    RABBITMQ_NODENAME: `stompbox-${port.distribution}@localhost`,
    RABBITMQ_DIST_PORT: `${port.distribution}`,
    RABBITMQ_CONF_ENV_FILE: join(folder, 'env.conf'),
    RABBITMQ_CONFIG_FILE: join(folder, 'rabbitmq.conf'),
    RABBITMQ_ENABLED_PLUGINS_FILE: join(folder, 'enabled_plugins'),
    RABBITMQ_MNESIA_BASE: join(folder, 'mnesia'),
    RABBITMQ_LOG_BASE: folder,
    RABBITMQ_SERVER_ADDITIONAL_ERL_ARGS: '-kernel inet_dist_use_interface {127,0,0,1} +S 2:2',
    RABBITMQ_ALLOW_INPUT: '1',
  };
  const processes: LeashedProcess[] = [];
  try {
    const names = leash(epmd, ['-d', '-address', '127.0.0.1'], { folder, env, log: join(folder, 'epmd.log') });
    processes.unshift(names);
    await names.logged(/epmd running/, START_DEADLINE_MS);
    const broker = leash(server, ['-noinput'], { folder, env, log: join(folder, 'server.log') });
    processes.unshift(broker);
    const [, version] = await broker.logged(/Starting RabbitMQ ([\d.]+).*Server startup complete/s, START_DEADLINE_MS);
    return { version: version ?? '', processes };
  } catch (cause) {
    await Promise.all(processes.map((process) => process.kill()));
    throw cause;
  }
}
