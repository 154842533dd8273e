// Our broker as a process of its own, over TCP and WebSocket: tells its parent both URLs, and ends with it.

import { createBroker } from '@stompbox/broker';

const broker = await createBroker({ listen: ['tcp://127.0.0.1:0', 'ws://127.0.0.1:0'] });
process.on('disconnect', () => process.exit());
const [tcp, ws] = broker.urls; // in the order of `listen`
process.send({ tcp, ws });
