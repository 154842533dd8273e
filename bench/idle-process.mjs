// Opens connections, says CONNECT on each, tells its parent when all are CONNECTED, and holds them until it is let go.
// `ulimit -n` must allow for as many, here and for the broker; Node raises it as far as it may.

import { once } from 'node:events';
import { connect } from 'node:net';

const [port, count] = process.argv.slice(2).map(Number);
const AT_ONCE = 100;

async function open() {
  const socket = connect(port, '127.0.0.1');
  socket.write('CONNECT\naccept-version:1.2\nhost:/\nheart-beat:0,0\n\n\0');
  const [said] = await once(socket, 'data');
  if (!said.toString().startsWith('CONNECTED')) throw new Error(`the broker said ${said}`);
  socket.on('close', () => {
    console.error('the broker closed a connection');
    process.exit(1);
  });
}

process.on('disconnect', () => process.exit());
for (let opened = 0; opened < count; opened += AT_ONCE) {
  await Promise.all(Array.from({ length: Math.min(AT_ONCE, count - opened) }, open));
}
process.send({});
