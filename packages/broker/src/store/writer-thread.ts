// The thread that writes the store: opens the file, and hands what arrives to the writer.
import { DatabaseSync } from 'node:sqlite';
import { type MessagePort, parentPort, receiveMessageOnPort, workerData } from 'node:worker_threads';
import { Appender, type LedgerTrust } from './appender.ts';
import { Connection, ConnectionTx } from './connection.ts';
import { failureOf, type Reply, type Request } from './messages.ts';
import { StoreUnavailable } from './tx.ts';
import { Writer } from './writer.ts';

const port = parentPort as MessagePort;
const { file, trust } = workerData as { readonly file: string; readonly trust: LedgerTrust };

/** The last message; it comes once nothing waits any more. */
const CLOSE = 'close';

const tell = (reply: Reply): void => port.postMessage(reply);

function poll(): Request[] {
  const arrived: Request[] = [];
  // INVARIANT: nothing waits any more when CLOSE is sent, so it never arrives here.
  for (let got = receiveMessageOnPort(port); got !== undefined; got = receiveMessageOnPort(port)) {
    arrived.push(...(got.message as Request[]));
  }
  return arrived;
}

function openConnection(): Connection {
  const db = new DatabaseSync(file, { timeout: 2000 });
  db.exec('pragma journal_mode = wal; pragma synchronous = full; pragma foreign_keys = on');
  // Copying the log back into the file takes its time: rarer, at 32 MiB, it copies each page fewer times.
  db.exec('pragma wal_autocheckpoint = 8000; pragma temp_store = memory; pragma trusted_schema = off');
  // What is erased is overwritten in its page, not only let go.
  db.exec('pragma secure_delete = on');
  if (db.prepare('pragma journal_mode').get()?.journal_mode !== 'wal') {
    throw new StoreUnavailable(`the file system of ${file} does not support SQLite's write-ahead log`);
  }
  return new Connection(db);
}

async function serve(): Promise<void> {
  const connection = openConnection();
  let appender: Appender;
  try {
    appender = await Appender.open(new ConnectionTx(connection), trust);
  } catch (error) {
    // Before anybody hears of it: whoever mends the file then must not find it locked.
    connection.close();
    throw error;
  }
  const writer = new Writer(connection, appender, { tell, poll });
  port.on('message', (message: readonly Request[] | typeof CLOSE) => {
    if (message !== CLOSE) return writer.take(message);
    connection.close();
    port.close();
  });
  tell({ ready: true });
}

try {
  await serve();
} catch (error) {
  tell({ failed: failureOf(error) });
  port.close();
}
