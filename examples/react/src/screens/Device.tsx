import { useMutation } from '@apollo/client/react';
import { MySessionsDocument, RevokeSessionDocument, type DeviceFragment } from '@latchkey/client/operations';
import { useState } from 'react';
import { ago, atMinute } from '../dates';
import { Button } from '../ui/Button';
import { Confirm } from '../ui/Confirm';

interface DeviceProps {
  device: DeviceFragment;
  /** Is told what becomes of signing it out. */
  onSignOut: (outcome: Promise<string>) => void;
}

export function Device({ device, onSignOut }: DeviceProps) {
  const [revoke, { loading }] = useMutation(RevokeSessionDocument, { refetchQueries: [MySessionsDocument] });
  const [asking, setAsking] = useState(false);
  const program = device.client ?? 'Unknown program';
  const name = device.deviceName ?? program;

  async function signOut(): Promise<string> {
    await revoke({ variables: { sessionId: device.id } });
    return `${name} is signed out.`;
  }

  return (
    <li className="device">
      <svg className="device-icon" viewBox="0 0 24 24" aria-hidden="true">
        <path d="M3 5h18v11H3zM8 20h8M12 16v4" />
      </svg>
      <div id={device.id} className="device-words">
        <p className="device-name">
          {name}
          {device.current && <span className="badge">This device</span>}
        </p>
        <p className="muted">{[device.deviceName && program, device.ip].filter(Boolean).join(' · ')}</p>
        <p className="muted">
          Last used{' '}
          <time dateTime={device.lastUsedAt} title={atMinute(device.lastUsedAt)}>
            {ago(device.lastUsedAt)}
          </time>
        </p>
      </div>
      {!device.current && (
        <Button busy={loading} aria-describedby={device.id} onClick={() => setAsking(true)}>
          Sign out<span className="visually-hidden"> {name}</span>
        </Button>
      )}
      {asking && (
        <Confirm
          title={`Sign out ${name}?`}
          action="Sign it out"
          onDismiss={() => setAsking(false)}
          onConfirm={() => {
            setAsking(false);
            onSignOut(signOut());
          }}
        >
          Whoever uses it has to sign in again. If you do not know this device, change your password too.
        </Confirm>
      )}
    </li>
  );
}
