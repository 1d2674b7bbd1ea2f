/** One at a time, in order of asking. */
export type Mutex = {
  readonly run: <T>(section: () => Promise<T>) => Promise<T>;
};

/** A lock for one serialized section. A section that throws frees it. */
export function createMutex(): Mutex {
  let last: Promise<unknown> = Promise.resolve();
  return {
    run: (section) => {
      const result = last.then(section);
      last = result.catch(() => undefined);
      return result;
    },
  };
}
