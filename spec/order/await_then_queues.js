// After a wait, microtasks go before ticks; before it, ticks before microtasks.
'use strict';
(async () => {
  process.nextTick(console.log, 'tick before');
  queueMicrotask(() => console.log('microtask before'));
  await Promise.resolve();
  console.log('awaited');
  process.nextTick(console.log, 'tick after');
  queueMicrotask(() => console.log('microtask after'));
  await Promise.resolve();
  console.log('awaited again');
})();
