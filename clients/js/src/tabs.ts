import { answerWithin } from './server.js';

// A tab that holds the lock and was frozen must not stop the others. By then what it asked has been given up: a refresh
// that is still under way while the next one's tokens are in use would look like a thief's (docs/rotation.md).
const lockWithin = answerWithin + 5_000;
// Where it was waited for in vain, it is not for as long again.
const stuckLockWithin = 1_000;

/** The tabs of one origin that share a session. */
export interface Tabs<Message> {
  /** Whether there may be others. */
  readonly shared: boolean;
  /** say tells all other tabs. */
  say(message: Message): void;
  /**
   * alone runs an action while no other tab runs one, and says whether it did: it does not where `moot` is aborted
   * before its turn has come.
   */
  alone(action: () => Promise<void>, moot?: AbortSignal): Promise<boolean>;
  /** pause leaves the channel until resume is called: a page with an open one cannot go into the back/forward cache. */
  pause(): void;
  resume(): void;
}

/** tabsOf returns the tabs that know one name, or, without a browser's locks and channels, this tab by itself. */
export function tabsOf<Message>(name: string | null, hear: (message: Message) => void): Tabs<Message> {
  const canTalk = name !== null && typeof BroadcastChannel === 'function' && typeof document === 'object';
  const locks = name !== null && typeof navigator === 'object' ? navigator.locks : undefined;
  const inThisTab = oneAfterTheOther();
  const lock: Lock = { name: name ?? '', isStuck: false };
  let channel: BroadcastChannel | null = null;

  const tabs: Tabs<Message> = {
    shared: canTalk,
    say: (message) => channel?.postMessage(message),
    alone: (action, moot) => inThisTab(() => (locks ? locked(locks, lock, action, moot) : unlocked(action, moot))),
    pause() {
      channel?.close();
      channel = null;
    },
    resume() {
      if (canTalk && !channel) {
        channel = new BroadcastChannel(name!);
        channel.onmessage = ({ data }: MessageEvent<Message>) => hear(data);
      }
    },
  };
  tabs.resume();
  return tabs;
}

interface Lock {
  readonly name: string;
  isStuck: boolean;
}

async function locked(locks: LockManager, lock: Lock, action: () => Promise<void>, moot?: AbortSignal): Promise<boolean> {
  const giveUp = new AbortController();
  const abort = () => giveUp.abort();
  const timer = setTimeout(
    () => {
      lock.isStuck = true;
      abort();
    },
    lock.isStuck ? stuckLockWithin : lockWithin,
  );
  moot?.addEventListener('abort', abort);
  if (moot?.aborted) {
    abort();
  }
  let began: Promise<boolean> | undefined;
  try {
    // The lock is held longer than its action is waited for.
    return await new Promise<boolean>((resolve, reject) => {
      locks
        .request(lock.name, { signal: giveUp.signal }, async () => {
          clearTimeout(timer);
          lock.isStuck = false;
          await locks.query(); // lets what the tab before said arrive: nothing orders messages and locks
          began = unlocked(action, moot);
          began.then(resolve, reject);
          await began.catch(() => {});
          await untilHeard(locks, lock.name);
        })
        .catch(reject);
    });
  } catch (error) {
    if (began) {
      throw error;
    }
    return unlocked(action, moot); // nothing, if it is moot; else the lock is stuck, or forbidden in a sandbox
  } finally {
    clearTimeout(timer);
    moot?.removeEventListener('abort', abort);
  }
}

// A tab that waits for the lock stops to once it hears that its refresh was done. The lock is held until then, and
// not by a timer: those of hidden tabs come late.
async function untilHeard(locks: LockManager, name: string): Promise<void> {
  for (let i = 0; i < 20; i++) {
    const { pending } = await locks.query();
    if (!pending?.some((lock) => lock.name === name)) {
      return;
    }
  }
}

async function unlocked(action: () => Promise<void>, moot?: AbortSignal): Promise<boolean> {
  if (moot?.aborted) {
    return false;
  }
  await action();
  return true;
}

function oneAfterTheOther(): <T>(action: () => Promise<T>) => Promise<T> {
  let last: Promise<unknown> = Promise.resolve();
  return (action) => {
    const result = last.then(action);
    last = result.catch(() => {});
    return result;
  };
}
