// Our broker as a process of its own, as the others are: tells its parent the URL, and ends with it.

import { createBroker } from '@stompbox/broker';

const [options = '{}'] = process.argv.slice(2);
const broker = await createBroker({ listen: ['tcp://127.0.0.1:0'], ...JSON.parse(options) });
process.on('disconnect', () => process.exit()); // not close(): `--cpu-prof` writes its file at either
process.send({ url: broker.urls[0] });
