// Blob Storage on this machine (azurite) by tokens of an Entra of its own, with one hour's flow logs in it.
import { spawnSync } from 'node:child_process';
import { existsSync, readFileSync, writeFileSync } from 'node:fs';
import { request } from 'node:https';
import { createServer } from 'node:net';
import { join } from 'node:path';
import { setTimeout as wait } from 'node:timers/promises';
import { ROOT } from '../../lib/framework/loader';
import { skipped } from '../support';
import { Server } from './servers';

const AZURITE = join(ROOT, 'tests/peers/js/node_modules/azurite/dist/src/blob/main.js');
const ACCOUNT = 'tributary';
const CONTAINER = 'insights-logs-flowlogflowevent';
const CREDENTIALS = {
  tenantId: '11111111-1111-1111-1111-111111111111', clientId: 'aaaaaaaa-bbbb-cccc-dddd-eeeeeeeeeeee', clientSecret: 'the-applications-secret-in-this-test',
};
/** The project's own case of a blob, and its path. */
const CASE = join(ROOT, 'modules/azure/crates/flowlogs/cases/network.json');
const PATH = 'flowLogResourceID=/0A1B2C3D-0000-4000-8000-000000000001_NETWORKWATCHERRG/NETWORKWATCHER_WESTEUROPE_SPOKE-FLOWLOG'
  + '/y=2026/m=03/d=02/h=12/m=00/macAddress=000D3A2B4C5D/PT1H.json';

async function freePort(): Promise<number> {
  return new Promise((resolve) => {
    const server = createServer().listen(0, '127.0.0.1', () => {
      const { port } = server.address() as { port: number };
      server.close(() => resolve(port));
    });
  });
}

/** Whether the store is installed; said aloud where it is not. */
export function blobsAreHere(): boolean {
  if (!existsSync(AZURITE)) skipped('flow logs of the deployment', 'azurite is not installed (make peers)');
  return existsSync(AZURITE);
}

export class Blobs {
  private constructor(private readonly store: Server, private readonly entra: Server, private readonly folder: string,
    private readonly port: number, readonly authority: string) {}

  static async start(python: string, folder: string): Promise<Blobs> {
    const made = spawnSync(python, [join(ROOT, 'tests/peers/certificate.py'), folder], { encoding: 'utf8' });
    if (made.status !== 0) throw new Error(made.stderr);
    const port = await freePort();
    const store = new Server(process.execPath, [AZURITE, '--blobHost', '127.0.0.1', '--blobPort', String(port), '--silent', '--disableTelemetry',
      '--skipApiVersionCheck', '--oauth', 'basic', '--cert', join(folder, 'certificate.pem'), '--key', join(folder, 'key.pem'), '--location', folder],
    { AZURITE_ACCOUNTS: `${ACCOUNT}:a2V5LW9mLXRoaXMtbWFjaGluZQ==` });
    const entra = new Server(python, [join(ROOT, 'tests/peers/entra_server.py')]);
    const authority = await entra.line();
    await fetch(`${authority}/control`, {
      method: 'POST', body: JSON.stringify({ applications: { [CREDENTIALS.clientId]: { secrets: [CREDENTIALS.clientSecret] } } }),
    });
    return new Blobs(store, entra, folder, port, authority);
  }

  /** Variables of the function that reads it. `trusted` is whom it has to trust besides. */
  variables(trusted: string): Record<string, string> {
    const roots = join(this.folder, 'roots.pem');
    writeFileSync(roots, readFileSync(trusted, 'utf8') + readFileSync(join(this.folder, 'authority.pem'), 'utf8'));
    return { AZURE_AUTHORITY_HOST: this.authority, AZURE_STORAGE_ACCOUNT: `${ACCOUNT}=https://127.0.0.1:${this.port}/${ACCOUNT}`, SSL_CERT_FILE: roots };
  }

  /** What the secret of flow logs holds. */
  get secret(): string {
    return JSON.stringify({ ...CREDENTIALS, subscriptionId: '0a1b2c3d-0000-4000-8000-000000000001', storageAccountName: ACCOUNT, storageAccountResourceId: '/subscriptions/x' });
  }

  private async call(method: string, path: string, token: string, body = ''): Promise<Record<string, unknown>> {
    return new Promise((resolve, reject) => {
      const asked = request(`https://127.0.0.1:${this.port}/${ACCOUNT}/${path}`, {
        method, ca: readFileSync(join(this.folder, 'authority.pem')),
        headers: { authorization: `Bearer ${token}`, 'x-ms-version': '2024-11-04', 'x-ms-date': new Date().toUTCString(), 'content-length': Buffer.byteLength(body) },
      }, (answer) => {
        answer.resume();
        answer.on('end', () => (answer.statusCode === 201 ? resolve(answer.headers) : reject(new Error(`${method} ${path}: ${answer.statusCode}`))));
      });
      asked.on('error', reject);
      asked.end(body);
    });
  }

  private async token(): Promise<string> {
    const answer = await fetch(`${this.authority}/${CREDENTIALS.tenantId}/oauth2/v2.0/token`, { method: 'POST', body: new URLSearchParams({
      grant_type: 'client_credentials', client_id: CREDENTIALS.clientId, client_secret: CREDENTIALS.clientSecret, scope: 'https://storage.azure.com/.default',
    }).toString(), headers: { 'content-type': 'application/x-www-form-urlencoded' } });
    return (await answer.json() as { access_token: string }).access_token;
  }

  /** Writes the blob as Network Watcher does, a block for each record; the event that tells of it. */
  async write(): Promise<string> {
    const token = await this.token();
    for (const end = Date.now() + 60_000; ;) {
      try {
        await this.call('PUT', `${CONTAINER}?restype=container`, token);
        break;
      } catch (error) {
        if (Date.now() > end) throw error;
        await wait(200);
      }
    }
    const { records } = JSON.parse(readFileSync(CASE, 'utf8')) as { records: unknown[] };
    const blocks = ['{"records":[', ...records.map((record, index) => (index === 0 ? '' : ',') + JSON.stringify(record)), ']}'];
    const ids = blocks.map((_, index) => Buffer.from(String(index).padStart(32, '0')).toString('base64'));
    for (const [index, block] of blocks.entries()) await this.call('PUT', `${CONTAINER}/${PATH}?comp=block&blockid=${encodeURIComponent(ids[index] ?? '')}`, token, block);
    const list = `<?xml version="1.0" encoding="utf-8"?><BlockList>${ids.map((id) => `<Latest>${id}</Latest>`).join('')}</BlockList>`;
    const { etag } = await this.call('PUT', `${CONTAINER}/${PATH}?comp=blocklist`, token, list);
    return JSON.stringify({
      source: `/subscriptions/0a1b2c3d-0000-4000-8000-000000000001/resourceGroups/flows/providers/Microsoft.Storage/storageAccounts/${ACCOUNT}`,
      subject: `/blobServices/default/containers/${CONTAINER}/blobs/${PATH}`, type: 'Microsoft.Storage.BlobCreated', time: new Date().toISOString(),
      id: '0a1b2c3d-0000-4000-8000-00000000000b', specversion: '1.0',
      data: {
        api: 'PutBlockList', requestId: '0a1b2c3d-0000-4000-8000-00000000000a', eTag: etag, contentType: 'application/octet-stream',
        contentLength: Buffer.byteLength(blocks.join('')), blobType: 'BlockBlob', url: `https://127.0.0.1:${this.port}/${ACCOUNT}/${CONTAINER}/${PATH}`,
        sequencer: '1'.padStart(48, '0'),
      },
    });
  }

  async end(): Promise<void> {
    await this.store.end();
    await this.entra.end();
  }
}
