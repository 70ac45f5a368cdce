// halo.yield comes back after what is ready, like an immediate.
'use strict';
const immediate = () => new Promise(r => setImmediate(r));
(async () => {
  setImmediate(console.log, 'immediate before');
  process.nextTick(console.log, 'tick');
  queueMicrotask(() => console.log('microtask'));
  queueMicrotask(async () => {
    for (let i = 1; i <= 3; i++) {
      console.log('task\t' + i);
      await immediate();
    }
  });
  console.log('script yields');
  await immediate();
  console.log('back');
  setImmediate(console.log, 'immediate 2');
  await immediate();
  console.log('back again');
})();
