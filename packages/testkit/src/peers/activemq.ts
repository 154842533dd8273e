// ActiveMQ Classic with STOMP over TCP and TLS, as a plain Java process. Debian's build has no WebSocket transport.
//
// Anonymous clients are refused, so that a wrong passcode can be tested. log4j 1 reads its configuration from the class
// path we give; the log on the console tells when the broker is up. Spring's XML needs the modules of java.base opened,
// or Java 17 refuses its reflection.

import { existsSync } from 'node:fs';
import { mkdir, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { leash } from './leash.ts';
import { type Ground, type Peer, type Recipe, type Running, startPeer } from './peer.ts';
import { type Skipped, which } from './programs.ts';

const START_DEADLINE_MS = 120_000;
const HOME = '/usr/share/activemq';
const JAR = `${HOME}/bin/activemq.jar`;
const LOGIN = 'guest';
const PASSCODE = 'guest';

/** Starts an ActiveMQ of its own, with a durable store and the scheduler on; `forSpeed` lets the JVM optimise, for benchmarks. */
export async function startActiveMq(options: { readonly forSpeed?: boolean } = {}): Promise<Peer | Skipped> {
  if (!existsSync(JAR)) return { skipped: 'activemq is not installed (apt-get install activemq)' };
  const java = await which('java');
  if (java === undefined) return { skipped: 'java is not installed (apt-get install default-jre-headless)' };
  if ((await which('openssl')) === undefined) return { skipped: 'openssl is not installed (apt-get install openssl)' };
  return startPeer(recipe(java, options.forSpeed ?? false));
}

function recipe(java: string, forSpeed: boolean): Recipe {
  return {
    name: 'ActiveMQ',
    portCount: 3,
    address: ([tcp, tls, nio]) => ({
      urls: { tcp: `stomp://127.0.0.1:${tcp}`, tls: `stomp+ssl://localhost:${tls}`, nio: `stomp://127.0.0.1:${nio}` },
      login: LOGIN,
      passcode: PASSCODE,
    }),
    prepare,
    launch: (ground) => launch(java, forSpeed, ground),
  };
}

async function prepare(ground: Ground): Promise<void> {
  const { folder } = ground;
  await Promise.all([
    mkdir(join(folder, 'tmp')),
    writeFile(join(folder, 'activemq.xml'), configuration(ground)),
    writeFile(
      join(folder, 'log4j.properties'),
      [
        'log4j.rootLogger=INFO, console',
        'log4j.appender.console=org.apache.log4j.ConsoleAppender',
        'log4j.appender.console.layout=org.apache.log4j.PatternLayout',
        'log4j.appender.console.layout.ConversionPattern=%p %c{1} %m%n',
        '',
      ].join('\n'),
    ),
  ]);
}

function configuration({ folder, certificates, ports: [tcp, tls, nio] }: Ground): string {
  return `<beans xmlns="http://www.springframework.org/schema/beans"
    xmlns:xsi="http://www.w3.org/2001/XMLSchema-instance"
    xsi:schemaLocation="http://www.springframework.org/schema/beans
      http://www.springframework.org/schema/beans/spring-beans-2.0.xsd
      http://activemq.apache.org/schema/core http://activemq.apache.org/schema/core/activemq-core.xsd">
  <broker xmlns="http://activemq.apache.org/schema/core" brokerName="stompbox-peer" useJmx="false"
      dataDirectory="${folder}/data" schedulerSupport="true">
    <persistenceAdapter><kahaDB directory="${folder}/data/kahadb" journalMaxFileLength="8mb"/></persistenceAdapter>
    <plugins>
      <simpleAuthenticationPlugin anonymousAccessAllowed="false">
        <users><authenticationUser username="${LOGIN}" password="${PASSCODE}" groups="users"/></users>
      </simpleAuthenticationPlugin>
    </plugins>
    <sslContext>
      <sslContext keyStore="file:${certificates.files.pkcs12}" keyStoreType="PKCS12"
        keyStorePassword="${certificates.password}"/>
    </sslContext>
    <systemUsage>
      <systemUsage>
        <memoryUsage><memoryUsage limit="128 mb"/></memoryUsage>
        <storeUsage><storeUsage limit="1 gb"/></storeUsage>
        <tempUsage><tempUsage limit="512 mb"/></tempUsage>
      </systemUsage>
    </systemUsage>
    <transportConnectors>
      <transportConnector name="stomp" uri="stomp://127.0.0.1:${tcp}"/>
      <transportConnector name="stomp+ssl" uri="stomp+ssl://127.0.0.1:${tls}"/>
      <transportConnector name="stomp+nio" uri="stomp+nio://127.0.0.1:${nio}"/>
    </transportConnectors>
  </broker>
</beans>
`;
}

async function launch(java: string, forSpeed: boolean, { folder }: Ground): Promise<Running> {
  const opened = ['java.lang', 'java.net', 'java.security', 'java.util', 'java.util.concurrent'];
  const broker = leash(
    java,
    [
      ...(forSpeed ? ['-Xms1g', '-Xmx1g'] : ['-Xms64m', '-Xmx512m', '-XX:TieredStopAtLevel=1']), // which starts sooner
      `-Djava.io.tmpdir=${folder}/tmp`,
      ...opened.flatMap((name) => ['--add-opens', `java.base/${name}=ALL-UNNAMED`]),
      ...[`-Dlog4j.configuration=file:${folder}/log4j.properties`, `-Dactivemq.home=${HOME}`],
      ...['base', 'conf', 'data'].map((name) => `-Dactivemq.${name}=${folder}${name === 'data' ? '/data' : ''}`),
      ...[`-Dactivemq.classpath=${folder}`, '-jar', JAR, 'start', `xbean:file:${folder}/activemq.xml`],
    ],
    { folder, env: { PATH: process.env.PATH, LANG: 'C.UTF-8', HOME: folder }, log: join(folder, 'server.log') },
  );
  try {
    const [, version] = await broker.logged(/Apache ActiveMQ ([\d.]+) \(.*\) started/, START_DEADLINE_MS);
    return { version: version ?? '', processes: [broker] };
  } catch (cause) {
    await broker.kill();
    throw cause;
  }
}
