// The launchers keep their word: brokers of this file's own, since it restarts and stops them.

import { connect } from 'node:net';
import { isSkipped, startActiveMq, startRabbitMq } from 'testkit/peers';
import { expect, test } from 'vitest';
import { activeMq, rabbitMq, withPeer } from './peers.ts';
import { at, connectFrame, converse } from './raw.ts';

for (const { name, shared, start } of [
  { name: 'a RabbitMQ of its own', shared: rabbitMq, start: startRabbitMq },
  { name: 'an ActiveMQ of its own', shared: activeMq, start: startActiveMq },
]) {
  withPeer(name, shared, () => {
    test('keeps its address and what was durable through a restart, and is gone after stop()', async () => {
      const broker = await start();
      if (isSkipped(broker)) throw new Error(broker.skipped);
      await using _ = broker;
      const dial = () => connect(at(broker.urls.tcp));

      const send = 'SEND\ndestination:/queue/kept\npersistent:true\nreceipt:r\n\nstill here\0';
      expect(await converse(dial(), [connectFrame(broker), send])).toContain('receipt-id:r');
      await broker.restart();
      const subscribe = 'SUBSCRIBE\nid:1\ndestination:/queue/kept\n\n\0';
      expect(await converse(dial(), [connectFrame(broker), subscribe])).toContain('still here');

      await broker.stop();
      await expect(converse(dial(), [connectFrame(broker)])).rejects.toThrow('ECONNREFUSED');
    });
  });
}
