// The library stomp.py against our broker.

import { afterAll } from 'vitest';
import { talksToOurBroker } from './foreign/behaviours.ts';
import { StompPy } from './foreign/stomp-py.ts';
import { stompPy, withPeer } from './peers.ts';

withPeer('stomp.py', stompPy, ({ path }) => {
  const program = new StompPy(path);
  afterAll(() => program.stop());
  talksToOurBroker(program);
});
