// Who may import whom: docs/architecture.md.
const only = (name, from, allowed) => ({
  name,
  severity: 'error',
  from: { path: from },
  to: { path: '^src/', pathNot: [from, ...allowed] },
});

/** @type {import('dependency-cruiser').IConfiguration} */
module.exports = {
  forbidden: [
    { name: 'no-circular', severity: 'error', from: {}, to: { circular: true } },
    only('core-is-pure', '^src/core/', ['^src/errors\\.ts$']),
    {
      name: 'core-has-no-io',
      severity: 'error',
      from: { path: '^src/core/' },
      to: { dependencyTypes: ['core'], pathNot: '^(node:)?crypto$' },
    },
    {
      name: 'core-uses-pure-libraries',
      severity: 'error',
      from: { path: '^src/core/' },
      to: {
        path: 'node_modules/',
        pathNot:
          'node_modules/(@types|liquidjs-lib|tiny-secp256k1|bolt11|@vulpemventures/secp256k1-zkp|bip32|bip39|slip77)/',
      },
    },
    only('leaves', '^src/(errors|log|failpoint|zodWords)\\.ts$', []),
    only('config-reads', '^src/config\\.ts$', ['^src/core/(units|timelock)\\.ts$', '^src/(errors|zodWords)\\.ts$']),
    only('lightning', '^src/lightning/', ['^src/core/', '^src/gen/', '^src/(errors|log)\\.ts$']),
    only('liquid', '^src/liquid/', ['^src/core/', '^src/gen/', '^src/(errors|log)\\.ts$']),
    only('store', '^src/store/', ['^src/core/', '^src/(errors|log|sqlite)\\.ts$']),
    only('engine', '^src/engine/', [
      '^src/core/',
      '^src/store/',
      '^src/lightning/(node|fitness)\\.ts$',
      '^src/liquid/(chain|wallet)\\.ts$',
      '^src/(errors|log|failpoint)\\.ts$',
    ]),
    only('rpc', '^src/rpc/', [
      '^src/core/',
      '^src/store/',
      '^src/engine/',
      '^src/lightning/node\\.ts$',
      '^src/liquid/(chain|wallet)\\.ts$',
      '^src/gen/',
      '^src/(errors|log|failpoint)\\.ts$',
    ]),
    only('buyer', '^src/buyer/', [
      '^src/core/',
      '^src/lightning/',
      '^src/liquid/',
      '^src/gen/',
      '^src/(errors|log|failpoint)\\.ts$',
    ]),
    only('library', '^src/library\\.ts$', ['^src/buyer/', '^src/core/', '^src/(errors|log)\\.ts$']),
    {
      name: 'nothing-here-imports-the-public-entry',
      severity: 'error',
      from: {},
      to: { path: '^src/library\\.ts$' },
    },
    only('cli', '^src/cli/', ['^src/buyer/', '^src/core/', '^src/gen/', '^src/(config|errors|log|zodWords)\\.ts$']),
    only('lnnode', '^src/lnnode/', [
      '^src/gen/',
      '^src/core/(units|invoice)\\.ts$',
      '^src/(config|errors|log|sqlite|zodWords)\\.ts$',
    ]),
    only('sandbox', '^src/sandbox/', ['^src/core/units\\.ts$', '^src/gen/', '^src/(config|errors|log)\\.ts$']),
    {
      name: 'sqlite-in-two-places',
      severity: 'error',
      from: { path: '^src/', pathNot: '^src/((store|lnnode)/|sqlite\\.ts$)' },
      to: { path: 'node_modules/(better-sqlite3|kysely)/' },
    },
    {
      name: 'no-dev-dependency-at-run-time',
      severity: 'error',
      from: { path: '^src/' },
      to: { dependencyTypes: ['npm-dev', 'npm-no-pkg', 'npm-unknown'], dependencyTypesNot: ['type-only'] },
    },
  ],
  options: {
    doNotFollow: { path: 'node_modules' },
    tsConfig: { fileName: 'tsconfig.json' },
    tsPreCompilationDeps: true,
  },
};
