/** The operator's commands about buyers: who they are, and their tokens. */
import type { Command } from 'commander';

import { printable } from '../buyer/printable.js';
import { EXIT, type ExitCode } from './exit.js';
import { noOptions } from './options.js';
import { table } from './output.js';
import { action, withAdmin, type Run } from './run.js';

/** Adds them to `admin`. */
export function addAdminBuyerCommands(admin: Command): void {
  admin.command('principals').description('the buyers, and what they have open').action(action(noOptions, principals));
  const token = admin.command('token').description("buyers' tokens");
  token
    .command('add')
    .description('make a token and print it once; an old one of the same name ends')
    .argument('<name>', 'letters, digits, dots, dashes, underscores')
    .action(action(noOptions, tokenAdd));
  token
    .command('revoke')
    .description("end a buyer's token; its swaps go on")
    .argument('<name>', 'as given to "add"')
    .action(action(noOptions, tokenRevoke));
}

async function principals(run: Run): Promise<ExitCode> {
  return await withAdmin(run, async (client) => {
    const answer = await client.listPrincipals({});
    run.out.result(answer, () =>
      answer.principals.length === 0
        ? 'no buyers yet'
        : table([
            ['NAME', 'TOKEN', 'OPEN UNPAID', 'OF THEM EXPIRED'],
            ...answer.principals.map((each) => [
              printable(each.name),
              each.hasToken ? 'yes' : 'no',
              String(each.openUnpaidSwaps),
              String(each.expiredSwaps),
            ]),
          ]),
    );
    return EXIT.done;
  });
}

async function tokenAdd(run: Run, _options: object, [name = '']: readonly string[]): Promise<ExitCode> {
  return await withAdmin(run, async (client) => {
    const { token } = await client.addToken({ name });
    run.out.progress(`the token of ${name}; it is not shown again:`);
    run.out.result({ name, token }, () => token);
    return EXIT.done;
  });
}

async function tokenRevoke(run: Run, _options: object, [name = '']: readonly string[]): Promise<ExitCode> {
  return await withAdmin(run, async (client) => {
    await client.revokeToken({ name });
    run.out.result({ name, revoked: true }, () => `the token of ${name} is no longer accepted`);
    return EXIT.done;
  });
}
