/** Structured logs on stderr, one JSON object a line; secrets are redacted by name as a second line of defence. */
import { pino, type Logger } from 'pino';

export type { Logger } from 'pino';

const SECRET_FIELDS = ['preimage', 'mnemonic', 'seed', 'privateKey', 'token', 'macaroon', 'password', 'secret'];

/** A logger for one program. `level` is a pino level, e.g. "info". */
export function createLogger(name: string, level = 'info'): Logger {
  const destination = pino.destination({ dest: 2, sync: true });
  destination.on('error', () => undefined); // a full disk under stderr must not stop refunds and settlements
  return pino(
    {
      name,
      level,
      redact: { paths: SECRET_FIELDS.flatMap((field) => [field, `*.${field}`]), censor: '[redacted]' },
      formatters: { level: (label) => ({ level: label }) },
      timestamp: pino.stdTimeFunctions.isoTime,
    },
    destination,
  );
}
