// Refunds 1 for the calls call_0, call_1, ... of a database again and again, printing each answer, until it is killed.
import { createConnector } from '#connectors/create-connector.ts';
import { attemptOf, responseOf, sqlSpec, testDeps } from './fixture.ts';

const connector = await createConnector(sqlSpec(process.argv[2] ?? ''), testDeps());
const operation = {
  write: [
    "insert into refunds (id, invoice, amount_minor) values (:call, 'INV-1', 1)",
    { sql: "update invoices set refunded_minor = refunded_minor + 1 where id = 'INV-1'", changes: 1 },
  ],
  returning: 'select id from refunds where id = :call',
};
for (let index = 0; ; index++) {
  const call_id = `call_${index}`;
  const replies = await Promise.all(
    [1, 2].map(() => connector.attempt(attemptOf(operation, {}, { call_id, mode: 'write' }))),
  );
  for (const reply of replies) console.log(JSON.stringify(responseOf(reply)));
}
