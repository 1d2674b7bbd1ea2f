/**
 * ldk-server as a program of a stage, for whoever brings it (`LDK_SERVER_EXE`, on Bitcoin Core of `BITCOIND_EXE`). Written
 * for 0.1.0 at commit 7f3276a, and ran with that.
 */
import { execFile } from 'node:child_process';
import { existsSync, readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { promisify } from 'node:util';

import { isPortTaken, startChild, tailOf, type DaemonChild } from '../daemons/child.js';
import type { FullNode } from '../daemons/fullNode.js';
import { onFreePorts } from '../freePort.js';
import type { NodeProgram, Place } from '../programStage.js';
import { connectLdkServer, messagesOf, numberOf, textOf, type LdkServerClient, type Message } from './client.js';
import { ldkServerPort, type LdkServerMemory } from './port.js';

const LOG_LINES = 200;

export const ldkServerExe = process.env['LDK_SERVER_EXE'];

type Life = { readonly child: DaemonChild; readonly client: LdkServerClient };

const configOf = (dir: string, grpc: string, peers: string, { endpoints: { bitcoind } }: FullNode): string => `[node]
network = "regtest"
listening_addresses = ["${peers}"]
grpc_service_address = "${grpc}"
alias = "test"
[storage.disk]
dir_path = ${JSON.stringify(dir)}
[log]
level = "Debug"
log_to_file = false
[bitcoind]
rpc_address = "${bitcoind.url.replace('http://', '')}"
rpc_user = "${bitcoind.user}"
rpc_password = "${bitcoind.password}"
`;

/** `0.1.0 (7f3276a)`: with the commit, if the build knew it. */
async function versionOf(exe = ''): Promise<string> {
  const { stdout } = await promisify(execFile)(exe, ['--version']);
  return stdout
    .trim()
    .replace(/^ldk-server /, '')
    .replace(/(?<=\([0-9a-f]{7})[0-9a-f]+/, '');
}

/** Starts ldk-server. */
export const startLdkServer = (place: Place, chain: FullNode): Promise<NodeProgram> =>
  onFreePorts((grpcPort, peerPort) => startOn(place, chain, [grpcPort, peerPort]), isPortTaken);

async function startOn(
  place: Place,
  chain: FullNode,
  [grpcPort, peerPort]: readonly [number, number],
): Promise<NodeProgram> {
  const { name, dir } = place;
  const grpc = `localhost:${grpcPort}`;
  const peerAddress = `127.0.0.1:${peerPort}`;
  const logFile = join(dir, 'ldk-server.log');
  writeFileSync(join(dir, 'config.toml'), configOf(dir, `127.0.0.1:${grpcPort}`, peerAddress, chain));
  const start = () => startLife(place, grpc, logFile);
  const memory: LdkServerMemory = { invoices: new Map(), held: new Set(), canceled: new Set() };
  let life = await start();
  let port = ldkServerPort(life.client, memory);
  const { nodeId } = await port.getInfo();
  const version = await versionOf(ldkServerExe);
  const channelsWith = async (peer: NodeProgram): Promise<Message[]> => {
    const channels = messagesOf(await life.client.call('ListChannels', []), 1);
    return channels.filter((channel) => textOf(channel, 2) === peer.nodeId);
  };
  return {
    name,
    ours: [],
    software: [{ program: 'ldk-server', version, isBrought: true }],
    nodeId,
    get port() {
      return port;
    },
    peerAddress,
    newAddress: async () => textOf(await life.client.call('OnchainReceive', []), 1),
    confirmedSats: async () => numberOf(await life.client.call('GetBalances', []), 2),
    connect: async (peer) => {
      await life.client.call('ConnectPeer', [
        [1, peer.nodeId],
        [2, peer.peerAddress],
        [3, true],
      ]);
    },
    openChannel: async (peer, capacitySats) => {
      await life.client.call('OpenChannel', [
        [1, peer.nodeId],
        [2, peer.peerAddress],
        [3, capacitySats],
      ]);
    },
    hasUsableChannel: async (peer) => (await channelsWith(peer)).some((channel) => numberOf(channel, 14) === 1n),
    closeChannel: async (peer) => {
      for (const channel of await channelsWith(peer)) {
        await life.client.call('CloseChannel', [
          [1, textOf(channel, 4)],
          [2, peer.nodeId],
        ]);
      }
    },
    restart: async (signal) => {
      port.close();
      await life.child.stop(signal);
      life = await start();
      port = ldkServerPort(life.client, memory);
    },
  };
}

async function startLife({ name, dir, started }: Place, grpc: string, logFile: string): Promise<Life> {
  if (ldkServerExe === undefined) throw new Error('LDK_SERVER_EXE names no program');
  const [certFile, keyFile] = [join(dir, 'tls.crt'), join(dir, 'regtest', 'api_key')];
  const args = [join(dir, 'config.toml')];
  const child = await startChild({ name: `ldk-server ${name}`, program: ldkServerExe, args, dir, logFile });
  let client: LdkServerClient | undefined;
  try {
    started({
      log: () => tailOf(logFile, LOG_LINES),
      stop: async () => {
        client?.close();
        await child.stop('SIGKILL');
      },
    });
    await child.until('its certificate and key', () => Promise.resolve(existsSync(certFile) && existsSync(keyFile)));
    const connected = connectLdkServer(grpc, readFileSync(certFile), readFileSync(keyFile).toString('hex'));
    client = connected;
    await child.until('its gRPC', async () => (await connected.call('GetNodeInfo', [])).size > 0);
    return { child, client };
  } catch (error) {
    client?.close();
    await child.stop('SIGKILL');
    throw error;
  }
}
