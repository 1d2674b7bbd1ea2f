import { describe, expect, it } from 'vitest';

import { makeFeed } from '../../../src/lnnode/feed.js';

const collect = async (items: AsyncIterable<number>): Promise<number[]> => {
  const seen: number[] = [];
  for await (const item of items) seen.push(item);
  return seen;
};

describe('a feed', () => {
  it('gives a subscriber everything from the subscription on, also before it reads', async () => {
    const feed = makeFeed<number>();
    const abort = new AbortController();
    feed.publish(1);
    const items = feed.subscribe(abort.signal)[Symbol.asyncIterator]();
    feed.publish(2);
    feed.publish(3);
    expect([(await items.next()).value, (await items.next()).value]).toEqual([2, 3]);
    const next = items.next();
    feed.publish(4);
    expect((await next).value).toBe(4);
    const last = items.next();
    abort.abort();
    expect(await last).toEqual({ done: true, value: undefined });
  });
  it('cuts a subscriber off that lets 1000 changes wait, and no other', async () => {
    const feed = makeFeed<number>();
    const signal = new AbortController().signal;
    const slow = feed.subscribe(signal);
    for (let i = 0; i < 1001; i++) feed.publish(i);
    const quick = feed.subscribe(signal)[Symbol.asyncIterator]();
    await expect(collect(slow)).rejects.toMatchObject({ code: 'too_slow' });
    const next = quick.next();
    feed.publish(7);
    expect((await next).value).toBe(7);
  });
  it('counts weights instead, drops what a lost subscriber would have got, and says at once that it ended', async () => {
    const feed = makeFeed<number>({ most: 10, weigh: (item) => item });
    const ends: string[] = [];
    const signal = new AbortController().signal;
    const slow = feed.subscribe(signal, { ended: () => ends.push('slow') });
    const even = feed.subscribe(signal, { accepts: (item) => item % 2 === 0, ended: () => ends.push('even') });
    const items = even[Symbol.asyncIterator]();
    feed.publish(3);
    feed.publish(7);
    expect(ends).toEqual([]);
    feed.publish(2);
    expect(ends).toEqual(['slow']);
    feed.publish(8);
    expect([(await items.next()).value, (await items.next()).value]).toEqual([2, 8]);
    feed.publish(10);
    expect((await items.next()).value).toBe(10);
    await expect(collect(slow)).rejects.toMatchObject({ code: 'too_slow' });
    expect(ends).toEqual(['slow']);
  });
  it('ends for a subscriber that went away before it read anything', () => {
    const feed = makeFeed<number>();
    const abort = new AbortController();
    let ends = 0;
    feed.subscribe(abort.signal, { ended: () => (ends += 1) });
    abort.abort();
    feed.subscribe(abort.signal, { ended: () => (ends += 1) });
    expect(ends).toBe(2);
  });
  it('tells its subscribers when the node stops', async () => {
    const feed = makeFeed<number>();
    const waiting = collect(feed.subscribe(new AbortController().signal));
    feed.close();
    await expect(waiting).rejects.toMatchObject({ code: 'shutting_down' });
  });
});
