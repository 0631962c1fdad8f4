// Tells people of severe outcomes: each alert once in the log, and to every webhook until it is heard or given up.
import type { Webhook } from '#bundle/bundle.ts';
import type { World } from '#call/world.ts';
import type { WebhookSender } from '#connectors/webhook-sender.ts';
import { alertEvent, linkOf, TRIES_MOST, waitAfter } from '#rules/alert.ts';
import { chanceOf } from '#rules/retry.ts';
import {
  announceAlert,
  type DueDelivery,
  dropUnlisted,
  listDue,
  listUnannounced,
  recordTry,
  waitsForOthers,
} from '#store/alerts.ts';

/** Alerts taken at a time. */
const PAGE = 100;

/**
 * Writes new alerts to the log and makes their deliveries due. A broker that stops between the two writes the line
 * again: it is there at least once.
 */
export async function announceAlerts(world: World): Promise<void> {
  const { webhooks } = world.bundle().settings.alerts;
  for (const alert of await world.store.read((tx) => listUnannounced(tx, PAGE))) {
    const { id, kind, call_id, agent, tool, problem, glass } = alert;
    const code = problem ?? kind;
    const link = linkOf(alert, world.base_url());
    const about =
      glass === null ? { call: call_id, agent, tool } : { break_glass: glass.id, person: glass.person };
    world.log.error('alert', { alert: id, kind, ...about, code, link });
    const urls = webhooks.filter(({ kinds }) => kinds?.includes(kind) ?? true).map(({ url }) => url);
    await world.store.write((tx) => announceAlert(tx, id, urls, world.clock.now()));
  }
}

/** Tells every webhook what is due. One that hangs keeps no other waiting. */
export async function deliverAlerts(world: World, send: WebhookSender, stopping: AbortSignal): Promise<void> {
  const { webhooks } = world.bundle().settings.alerts;
  await dropForgotten(
    world,
    webhooks.map(({ url }) => url),
  );
  await Promise.all(webhooks.map((webhook) => tell(webhook, world, send, stopping)));
}

/** What waits for a webhook that the settings no longer name is given up, for somebody to see. */
async function dropForgotten(world: World, urls: readonly string[]): Promise<void> {
  if (!(await world.store.read((tx) => waitsForOthers(tx, urls)))) return;
  const dropped = await world.store.write((tx) =>
    dropUnlisted(tx, urls, 'the settings name this webhook no longer'),
  );
  world.log.error('alerts for a webhook that is no longer set were given up', { alerts: dropped });
}

/** In turn, up to the first that fails: the others of a receiver that is away wait for the next round. */
async function tell(webhook: Webhook, world: World, send: WebhookSender, stopping: AbortSignal) {
  const due = await world.store.read((tx) => listDue(tx, webhook.url, world.clock.now(), PAGE));
  for (const delivery of due) {
    if (!(await tellOne(delivery, webhook, world, send, stopping))) return;
  }
}

async function tellOne(
  delivery: DueDelivery,
  webhook: Webhook,
  world: World,
  send: WebhookSender,
  stopping: AbortSignal,
): Promise<boolean> {
  const message = {
    id: delivery.id,
    type: 'application/cloudevents+json',
    body: alertEvent(delivery, world.base_url()),
    now_ms: world.clock.now(),
  };
  const told = await send(webhook, message, stopping);
  // A try that the broker's own stop cut off counts for nothing.
  if (!told.ok && stopping.aborted) return false;
  const now = world.clock.now();
  const tries = delivery.tries + 1;
  const base = { alert_id: delivery.id, webhook: webhook.url, tries };
  if (told.ok) {
    await world.store.write((tx) =>
      recordTry(tx, { ...base, state: 'delivered', next_try_at_ms: now, last_error: null }),
    );
    return true;
  }
  const over = told.final || tries >= TRIES_MOST;
  const next_try_at_ms = over ? now : now + waitAfter(tries, chanceOf(world.random(4)), told.wait_ms);
  const state = over ? 'failed' : 'pending';
  await world.store.write((tx) => recordTry(tx, { ...base, state, next_try_at_ms, last_error: told.reason }));
  const fields = { alert: delivery.id, webhook: new URL(webhook.url).origin, tries, why: told.reason };
  if (over) world.log.error('an alert was given up: nobody was told', fields);
  else world.log.warn('an alert was not delivered yet', fields);
  return false;
}
