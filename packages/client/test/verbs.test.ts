import { expect, test } from 'vitest';
import { table } from './support.ts';

test('a send resolves on its RECEIPT', async () => {
  const { connection, peer } = await table();
  const sent = connection.send('/queue/a', { id: 7 });
  const event = await peer.next('send');
  expect(event.frame.get('content-type')).toBe('application/json');
  await sent;
  const sub = connection.subscribe<{ id: number }>('/queue/a', { ack: 'client-individual' });
  await sub.ready;
  peer.deliver(sub.id, '{"id":7}', { item: 'x' });
  for await (const message of sub) {
    expect(message.json().id).toBe(7);
    await message.ack({ confirm: true });
    break;
  }
  expect((await peer.next('settle')).items).toEqual(['x']);
  await connection.disconnect();
  expect(await connection.closed).toEqual({ kind: 'disconnected' });
});
