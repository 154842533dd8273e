// @stomp/stompjs, the client of most browsers that speak STOMP today, against our broker.

import { createBroker } from '@stompbox/broker';
import { describe, expect, test } from 'vitest';
import { talksToOurBroker } from './foreign/behaviours.ts';
import { stompJs } from './foreign/stompjs.ts';

describe('@stomp/stompjs', () => {
  talksToOurBroker(stompJs);

  test('in STOMP 1.1 it writes a colon raw, which we take, and does not know our escape of it', async () => {
    await using broker = await createBroker({ listen: ['ws://127.0.0.1:0'] });
    await using client = await stompJs.connect(broker, { version: '1.1' });
    const { messages } = await client.subscribe('/queue/a', 'auto');
    await client.send('/queue/a', '', { headers: { odd: 'a:b' } });
    expect((await messages.take()).headers).toMatchObject({ odd: String.raw`a\cb` });
  });
});
