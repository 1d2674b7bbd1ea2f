/** An example for every command of the operator. */
import type { Command } from 'commander';

import { examples } from './help.js';

const LINES: Readonly<Record<string, readonly string[]>> = {
  admin: ['admin status --admin 127.0.0.1:9836 --admin-token-file admin.token'],
  status: ['admin status', 'admin status --json'],
  balance: ['admin balance'],
  address: ['admin address'],
  withdraw: [
    'admin withdraw --asset USDT --amount 100 --address ADDRESS',
    'admin withdraw --asset USDT --amount 100 --address ADDRESS --request-id 8d6848c9-c2b3-451c-bc91-a2c858a6b4b6',
  ],
  split: ['admin split USDT 10'],
  swaps: ['admin swaps --state FUNDED --limit 20'],
  show: ['admin show SWAP_ID'],
  pause: ['admin pause --reason "moving house"'],
  resume: ['admin resume'],
  drain: ['admin drain --reason "update"'],
  principals: ['admin principals'],
  token: ['admin token add alice', 'admin token revoke alice'],
  add: ['admin token add alice'],
  revoke: ['admin token revoke alice'],
  backup: ['admin backup /mnt/second-disk/swapd.sqlite'],
  offer: ['admin offer list', 'admin offer set --asset USDT --spread-ppm 5000'],
  list: ['admin offer list'],
  set: ['admin offer set --asset USDT --price-msat-numerator 1000000 --price-denominator 100000000'],
};

/** Adds them to `admin` and everything below it. */
export function addAdminExamples(command: Command): void {
  const lines = LINES[command.name()];
  if (lines !== undefined) examples(command, ...lines);
  for (const child of command.commands) addAdminExamples(child);
}
