// Sleeps of the same time end in the order they began, with a drain between.
'use strict';
const sleep = ms => new Promise(r => setTimeout(r, ms));
(async () => {
  for (let i = 1; i <= 3; i++)
    queueMicrotask(async () => {
      console.log('begin\t' + i);
      await sleep(5);
      console.log('slept\t' + i);
      process.nextTick(() => console.log('tick\t' + i));
      queueMicrotask(() => console.log('microtask\t' + i));
    });
  console.log('script sleeps');
  await sleep(40);
  console.log('script ends');
})();
