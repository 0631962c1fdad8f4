// Loaded into the fuzzed broker: collects garbage when asked, and says what is left. Nothing else of it is not the product.
declare const gc: (options: object) => void;

process.on('message', () => {
  gc({ type: 'major', execution: 'sync' });
  gc({ type: 'major', execution: 'sync', flavor: 'last-resort' });
  const { rss, heapUsed, external } = process.memoryUsage();
  process.send!({ rss, heapUsed, external });
});
// The channel alone does not keep the broker alive.
process.channel!.unref();
