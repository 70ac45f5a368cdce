// finally between other links, with the queues looked at in each.
'use strict';
Promise.resolve(1).then(v => {
  process.nextTick(console.log, 'tick of next');
  return v + 1;
}).finally(() => {
  console.log('finally 1');
  queueMicrotask(() => console.log('microtask of finally 1'));
}).finally(() => {
  console.log('finally 2');
  process.nextTick(console.log, 'tick of finally 2');
}).then(v => console.log('value\t' + v));
