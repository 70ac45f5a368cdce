// A tick that settles promises: all their reactions run after the other ticks.
'use strict';
let resolve, reject;
const p = new Promise(r => { resolve = r; });
const q = new Promise((_, r) => { reject = r; });
q.catch(e => console.log('q\t' + e));
p.then(v => {
  console.log('p\t' + v);
  process.nextTick(console.log, 'tick of p');
}).then(() => console.log('next of p'));
process.nextTick(() => {
  console.log('tick 1 settles');
  resolve('yes');
  reject('no');
});
process.nextTick(console.log, 'tick 2');
process.nextTick(() => {
  queueMicrotask(() => console.log('microtask of tick 3'));
});
