// all takes the first rejection; the others are dealt with.
'use strict';
let resolveSlow;
const slow = new Promise(r => { resolveSlow = r; });
Promise.all([slow, Promise.reject('first'), Promise.reject('second')])
  .then(console.log, e => console.log('rejected\t' + e));
slow.then(console.log);
queueMicrotask(() => resolveSlow('slow'));
let p = Promise.resolve();
for (let i = 1; i <= 5; i++) p = p.then(() => console.log('turn\t' + i));
