const day = new Intl.DateTimeFormat('en', { dateStyle: 'long' });
const minute = new Intl.DateTimeFormat('en', { dateStyle: 'medium', timeStyle: 'short' });
const relative = new Intl.RelativeTimeFormat('en', { numeric: 'auto' });

const units = [
  ['year', 365 * 86_400],
  ['month', 30 * 86_400],
  ['day', 86_400],
  ['hour', 3_600],
  ['minute', 60],
] as const;

export const onDay = (at: string): string => day.format(new Date(at));

export const atMinute = (at: string): string => minute.format(new Date(at));

export function ago(at: string): string {
  const seconds = (Date.now() - Date.parse(at)) / 1000;
  for (const [unit, length] of units) {
    if (seconds >= length) {
      return relative.format(-Math.floor(seconds / length), unit);
    }
  }
  return 'just now';
}

/** countdown says how much longer something takes, as 0:09 or 14:32. */
export function countdown(seconds: number): string {
  return `${Math.floor(seconds / 60)}:${String(seconds % 60).padStart(2, '0')}`;
}
