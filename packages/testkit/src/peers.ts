// The real programs that Stompbox is tested against, started from their own installation in a folder of their own.
// One that cannot run here answers `{ skipped: reason }`; a test then says so in its name instead of failing.

export { startActiveMq } from './peers/activemq.ts';
export { type Certificates, makeCertificates } from './peers/certificates.ts';
export type { Peer, PeerAddress } from './peers/peer.ts';
export { findChromium, findStompPy, isSkipped, type Program, type Skipped, which } from './peers/programs.ts';
export { startRabbitMq } from './peers/rabbitmq.ts';
