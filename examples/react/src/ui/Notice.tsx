import { useEffect, useRef, useState, type ReactNode } from 'react';
import { countdown } from '../dates';
import type { Problem } from '../words';

/** Says what went wrong. The focus moves here, unless the person did not ask for what failed. */
export function ProblemNotice({ problem, focus = true, children }: { problem: Problem; focus?: boolean; children?: ReactNode }) {
  const element = useRef<HTMLDivElement>(null);
  useEffect(() => {
    if (focus) {
      element.current?.focus();
    }
  }, [problem, focus]);
  return (
    <div className="notice notice-danger" tabIndex={-1} ref={element}>
      <p role="alert">{problem.text}</p>
      {problem.retryAt && <Wait key={problem.retryAt.getTime()} until={problem.retryAt} />}
      {problem.requestId && (
        <p className="request-id">
          Request <code>{problem.requestId}</code>
        </p>
      )}
      {children}
    </div>
  );
}

// A timer is not read aloud each second; that it is over is.
function Wait({ until }: { until: Date }) {
  const [seconds, setSeconds] = useState(() => secondsUntil(until));
  useEffect(() => {
    const timer = setInterval(() => setSeconds(secondsUntil(until)), 1000);
    return () => clearInterval(timer);
  }, [until]);
  return seconds > 0 ? (
    <p role="timer">
      You can try again in <span className="countdown">{countdown(seconds)}</span>.
    </p>
  ) : (
    <p role="status">You can try again now.</p>
  );
}

function secondsUntil(at: Date): number {
  return Math.max(0, Math.ceil((at.getTime() - Date.now()) / 1000));
}
