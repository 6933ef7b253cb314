import { useRef, useState } from 'react';
import { useMutation } from 'urql';
import { useAction } from './action.js';
import { graphql, readFragment, type FragmentOf } from './graphql.js';
import { momentOf } from './words.js';

export const DeviceFragment = graphql(`
  fragment Device on Session {
    id
    deviceName
    client
    ip
    createdAt
    lastUsedAt
    current
  }
`);

const RevokeSession = graphql(`
  mutation RevokeSession($sessionId: ID!) {
    revokeSession(input: { sessionId: $sessionId }) {
      revoked
    }
  }
`);

const RevokeOtherSessions = graphql(`
  mutation RevokeOtherSessions {
    revokeOtherSessions {
      revokedCount
    }
  }
`);

/** What a mutation must say of itself that ends sessions: no answer has one in it, so that urql cannot know. */
export const endsSessions = { additionalTypenames: ['Session'] };

/** The devices that a person is signed in on. Any but this one can be signed out, and all of them. */
export function Devices({ devices }: { readonly devices: readonly FragmentOf<typeof DeviceFragment>[] }) {
  const [, revoke] = useMutation(RevokeSession);
  const [, revokeOthers] = useMutation(RevokeOtherSessions);
  const [done, setDone] = useState('');
  const heading = useRef<HTMLHeadingElement>(null);

  const end = useAction(async (device: { readonly id: string; readonly name: string } | 'others') => {
    setDone('');
    if (device === 'others') {
      const { data, error } = await revokeOthers({}, endsSessions);
      if (!data) {
        throw error;
      }
      setDone(endedInWords(data.revokeOtherSessions.revokedCount));
    } else {
      const { error } = await revoke({ sessionId: device.id }, endsSessions);
      if (error) {
        throw error;
      }
      setDone(`${device.name} is signed out.`);
      heading.current?.focus(); // the button goes with the device
    }
    return null;
  });

  return (
    <section className="card" aria-labelledby="devices">
      <h2 id="devices" ref={heading} tabIndex={-1}>
        Your devices
      </h2>
      {end.fault && <p role="alert">{end.fault.text}</p>}
      <ul role="list" aria-labelledby="devices" aria-busy={end.busy}>
        {devices.map((masked) => {
          const device = readFragment(DeviceFragment, masked);
          const name = device.deviceName ?? device.client ?? 'Unknown device';
          return (
            <li key={device.id}>
              <div>
                <strong>{name}</strong>
                {device.current && <span className="this">This device</span>}
                <p>{device.current ? 'In use now' : `Last used ${momentOf(device.lastUsedAt)}`}</p>
                <p>
                  Signed in {momentOf(device.createdAt)}
                  {device.ip && ` · ${device.ip}`}
                </p>
              </div>
              {!device.current && (
                <button onClick={() => end.run({ id: device.id, name })}>
                  Sign out<span className="unseen"> {name}</span>
                </button>
              )}
            </li>
          );
        })}
      </ul>
      <div className="buttons">
        <button onClick={() => end.run('others')}>Sign out everywhere else</button>
        <p aria-live="polite">{done}</p>
      </div>
    </section>
  );
}

/** Says how many other devices were signed out. */
export function endedInWords(count: number): string {
  switch (count) {
    case 0:
      return 'No other device was signed in.';
    case 1:
      return '1 other device was signed out.';
    default:
      return `${count} other devices were signed out.`;
  }
}
